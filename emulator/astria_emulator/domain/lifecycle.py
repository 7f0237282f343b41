"""The states of tunes and prompts, as a table.

This module alone writes started, trained and expires times.

A tune is *queued*, in *training*, then *trained*, and *expired* 30 days later unless it is
extended. One that *failed* has no form on the wire: it looks untrained. A prompt is *waiting* for
its tunes, *queued*, *generating*, then *finished* or *failed*; `trained_at` marks the end of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from astria_emulator.domain.rows import Untimed

STORAGE = timedelta(days=30)  # docs/api/0-overview.md, 2026-08-21
UNTIMED: Untimed = {"started_training_at": None, "trained_at": None}


@dataclass(frozen=True)
class Step:
    """Where an event leads, and the times that it writes."""

    to: str
    stamps: tuple[str, ...] = ()


TRANSITIONS: Mapping[tuple[str, str, str], Step] = {
    ("tune", "queued", "start"): Step("training", ("started_training_at",)),
    # FaceID tunes are not trained: they are ready at once.
    ("tune", "queued", "finish"): Step(
        "trained", ("started_training_at", "trained_at", "eta", "expires_at")
    ),
    ("tune", "queued", "fail"): Step("failed"),
    ("tune", "training", "finish"): Step("trained", ("trained_at", "eta", "expires_at")),
    ("tune", "training", "fail"): Step("failed"),
    ("tune", "trained", "extend"): Step("trained", ("extended",)),
    ("tune", "trained", "expire"): Step("expired"),
    ("prompt", "waiting", "release"): Step("queued"),
    ("prompt", "waiting", "fail"): Step("failed", ("trained_at",)),
    ("prompt", "queued", "start"): Step("generating", ("started_training_at",)),
    ("prompt", "queued", "fail"): Step("failed", ("trained_at",)),
    ("prompt", "generating", "finish"): Step("finished", ("trained_at",)),
    ("prompt", "generating", "fail"): Step("failed", ("trained_at",)),
}
# A job's kind -> the state in which its object is while it waits; in another one it does nothing.
WAITS_IN: Mapping[str, str] = {
    "start_tune": "queued",
    "train_tune": "training",
    "train_on_slot": "training",
    "expire_tune": "trained",
    "start_prompt": "queued",
    "generate_prompt": "generating",
    "generate_on_slot": "generating",
    "send_callback": "recorded",
    "release_callback": "recorded",
}
STARTED, TRAINED, EXPIRES = "started_training_at", "trained_at", "expires_at"
# An object's table and state -> its times, and whether they are set; others may be either.
TIMES: Mapping[tuple[str, str], Mapping[str, bool]] = {
    ("tune", "queued"): {STARTED: False, TRAINED: False, EXPIRES: False},
    ("tune", "training"): {STARTED: True, TRAINED: False, EXPIRES: False},
    ("tune", "failed"): {TRAINED: False, EXPIRES: False},
    ("tune", "trained"): {STARTED: True, TRAINED: True, EXPIRES: True},
    ("tune", "expired"): {STARTED: True, TRAINED: True, EXPIRES: True},
    ("prompt", "waiting"): {STARTED: False, TRAINED: False},
    ("prompt", "queued"): {STARTED: False, TRAINED: False},
    ("prompt", "generating"): {STARTED: True, TRAINED: False},
    ("prompt", "finished"): {STARTED: True, TRAINED: True},
    ("prompt", "failed"): {TRAINED: True},
}
FINAL = {"tune": frozenset({"failed", "expired"}), "prompt": frozenset({"finished", "failed"})}


class IllegalStep(LookupError):
    """The event is not allowed in the object's state."""


def step(kind: str, row: Mapping[str, Any], event: str, now: datetime) -> dict[str, Any]:
    """Return the changes that an event makes to a row.

    Raises IllegalStep when the event is not allowed in the row's state.
    """
    try:
        transition = TRANSITIONS[kind, row["state"], event]
    except KeyError:
        raise IllegalStep(f"{kind} is {row['state']}: cannot {event}") from None
    changes: dict[str, Any] = {"state": transition.to, "updated_at": now}
    for stamp in transition.stamps:
        if stamp == "expires_at":
            changes[stamp] = now + STORAGE
        elif stamp == "extended":
            # As often as it takes: a clock may have been moved by centuries.
            times = max((now - row["expires_at"]) // STORAGE + 1, 1)
            changes["expires_at"] = row["expires_at"] + times * STORAGE
        else:
            changes[stamp] = now
    return changes


def shortened(ends: datetime) -> dict[str, Any]:
    """Return the changes of a tune whose storage a fault ends early."""
    return {"expires_at": ends}


LONGEST_SECONDS = 10_000_000  # of remaining work, as `eta` shows it
