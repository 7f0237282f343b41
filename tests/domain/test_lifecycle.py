"""The whole table of states: every pair of state and event, allowed or not."""

from datetime import UTC, datetime, timedelta
from itertools import product
from types import MappingProxyType
from typing import Any

import pytest

from astria_emulator.domain.lifecycle import (
    FINAL,
    STORAGE,
    TIMES,
    TRANSITIONS,
    UNTIMED,
    IllegalStep,
    step,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=3)
STATES = {
    "tune": ("queued", "training", "trained", "failed", "expired"),
    "prompt": ("waiting", "queued", "generating", "finished", "failed"),
}
EVENTS = ("start", "finish", "fail", "extend", "expire", "release", "nonsense")
# (kind, state, event): where it leads, and what it writes besides `state` and `updated_at`
LEGAL: dict[tuple[str, str, str], tuple[str, dict[str, datetime]]] = {
    ("tune", "queued", "start"): ("training", {"started_training_at": NOW}),
    ("tune", "queued", "finish"): (
        "trained",
        {
            "started_training_at": NOW,
            "trained_at": NOW,
            "eta": NOW,
            "expires_at": NOW + timedelta(days=30),
        },
    ),
    ("tune", "queued", "fail"): ("failed", {}),
    ("tune", "training", "finish"): (
        "trained",
        {"trained_at": NOW, "eta": NOW, "expires_at": NOW + timedelta(days=30)},
    ),
    ("tune", "training", "fail"): ("failed", {}),
    ("tune", "trained", "extend"): ("trained", {"expires_at": EXPIRES + timedelta(days=30)}),
    ("tune", "trained", "expire"): ("expired", {}),
    ("prompt", "waiting", "release"): ("queued", {}),
    ("prompt", "waiting", "fail"): ("failed", {"trained_at": NOW}),
    ("prompt", "queued", "start"): ("generating", {"started_training_at": NOW}),
    ("prompt", "queued", "fail"): ("failed", {"trained_at": NOW}),
    ("prompt", "generating", "finish"): ("finished", {"trained_at": NOW}),
    ("prompt", "generating", "fail"): ("failed", {"trained_at": NOW}),
}
TABLE = [(kind, *pair) for kind in STATES for pair in product(STATES[kind], EVENTS)]


def row(state: str) -> Any:
    """A row that cannot be written to."""
    return MappingProxyType({"state": state, "expires_at": EXPIRES, "trained_at": None})


@pytest.mark.parametrize(("kind", "state", "event"), TABLE)
def test_event_leads_where_the_table_says_or_is_illegal(kind: str, state: str, event: str) -> None:
    before = row(state)
    if (kind, state, event) in LEGAL:
        to, stamps = LEGAL[kind, state, event]
        assert step(kind, before, event, NOW) == {"state": to, "updated_at": NOW, **stamps}
    else:
        with pytest.raises(IllegalStep, match=f"{kind} is {state}: cannot {event}"):
            step(kind, before, event, NOW)
    assert before == row(state)


def test_table_names_no_state_that_the_tests_do_not_know() -> None:
    known = {(kind, state) for kind, states in STATES.items() for state in states}
    assert {(kind, state) for kind, state, _ in TRANSITIONS} <= known
    assert {(kind, found.to) for (kind, _, _), found in TRANSITIONS.items()} <= known
    assert TRANSITIONS.keys() == LEGAL.keys()


@pytest.mark.parametrize("kind", STATES)
def test_final_states_are_those_that_nothing_leads_out_of(kind: str) -> None:
    with_a_way_out = {state for of, state, _ in TRANSITIONS if of == kind}
    assert FINAL[kind] == set(STATES[kind]) - with_a_way_out


@pytest.mark.parametrize("kind", STATES)
def test_every_state_is_reached_from_the_first(kind: str) -> None:
    reached = {STATES[kind][0]}
    for _ in STATES[kind]:
        reached |= {
            to.to for (of, state, _), to in TRANSITIONS.items() if of == kind and state in reached
        }
    assert reached == set(STATES[kind])


def test_storage_is_thirty_days_from_training_and_thirty_more_when_extended() -> None:
    trained = step("tune", {"state": "training"}, "finish", NOW)
    extended = step("tune", {**trained}, "extend", NOW + timedelta(days=29))
    assert extended["expires_at"] == NOW + 2 * STORAGE == NOW + timedelta(days=60)


def test_new_row_shows_no_times() -> None:
    assert UNTIMED == {"started_training_at": None, "trained_at": None}


@pytest.mark.parametrize("kind", STATES)
def test_every_way_through_life_writes_the_times_of_its_states(kind: str) -> None:
    first = {"state": STATES[kind][0], **UNTIMED} | ({"expires_at": None} if kind == "tune" else {})
    seen, reached = set(), [first]
    while reached:
        now = reached.pop()
        for name, is_set in TIMES[kind, now["state"]].items():
            assert (now[name] is not None) is is_set, now
        seen.add(now["state"])
        for of, state, event in TRANSITIONS:
            if (of, state) == (kind, now["state"]) and event != "extend":
                reached.append(now | step(kind, now, event, NOW))
    assert seen == set(STATES[kind])
    assert {state for of, state in TIMES if of == kind} == seen
