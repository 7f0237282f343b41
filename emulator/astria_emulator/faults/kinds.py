"""Every fault by name, and the settings that it takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What a fault affects: the answer to a request, a tune's or prompt's work, or a callback.
ANSWER, WORK, CALLBACK = "answer", "work", "callback"
FILE = "file"  # the operation name of fetching a file


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    affects: ANSWER, WORK or CALLBACK. `says`: a sentence for the documentation. `takes`: the names
    of its settings, with those in `defaults` and those that it `needs`.
    """

    affects: str
    says: str
    takes: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()

    def shown(self, setting: str) -> str:
        """Return a setting with its default as Markdown, for a table."""
        default = self.defaults.get(setting)
        return f"`{setting}`" if default is None else f"`{setting}` {json.dumps(default)}"


def _kind(affects: str, says: str, *needs: str, **defaults: Any) -> Kind:
    return Kind(
        affects=affects,
        says=says,
        takes=frozenset({*needs, *defaults}),
        defaults=defaults,
        needs=frozenset(needs),
    )


DONE = {"work_done": True}
REFUSAL = {"base": ["is refused by a fault"]}

KINDS: Mapping[str, Kind] = {
    "latency": _kind(
        ANSWER,
        "The answer is late: by `seconds`, by any time up to `up_to`, or with `sigma` by a "
        "lognormal time around the median `seconds` that `up_to` cuts off.",
        "seconds",
        up_to=None,
        sigma=None,
    ),
    "unprocessable": _kind(
        ANSWER, "422 with `messages`; nothing is done.", messages=REFUSAL, work_done=False
    ),
    "rate-limited": _kind(
        ANSWER, "429 with Retry-After of `retry_after` seconds.", retry_after=1, work_done=False
    ),
    "server-error": _kind(ANSWER, "500.", work_done=False),
    "gateway-page": _kind(
        ANSWER, "A gateway's HTML page where JSON is expected.", status=502, work_done=False
    ),
    "gateway-timeout": _kind(
        ANSWER, "504, though the work was done; or `work_done: false`.", work_done=True
    ),
    "cut-body": Kind(ANSWER, "The answer ends in the middle of its body.", defaults=DONE),
    "malformed-json": Kind(ANSWER, "The body is half of what it would be.", defaults=DONE),
    "connection-reset": _kind(
        ANSWER, "The connection is broken off without an answer.", work_done=True
    ),
    "callback-early": _kind(
        ANSWER,
        "What a request sets to work ends, and calls back, before the answer is sent; not what "
        "waits for a tune, nor real training.",
    ),
    "training-fails": _kind(WORK, "A tune is never trained.", message="Training failed."),
    "slow-training": _kind(WORK, "Training takes `seconds` more.", "seconds"),
    "tune-expires": _kind(WORK, "A tune's storage ends `seconds` after its training.", seconds=0),
    "prompt-fails": _kind(
        WORK, "A prompt ends with `message` as its user_error.", message="Something went wrong."
    ),
    "slow-prompt": _kind(WORK, "A prompt takes `seconds` more.", "seconds"),
    "callback-dropped": _kind(CALLBACK, "It is never sent."),
    "callback-doubled": _kind(CALLBACK, "It is sent twice."),
    "callback-delayed": _kind(CALLBACK, "It is sent `seconds` late.", "seconds"),
    "callback-reordered": _kind(
        CALLBACK, "It is sent after the next one; after `seconds` when none comes.", seconds=5
    ),
    "callback-timed-out": _kind(
        CALLBACK, "It is sent, and the connection closed before it can be answered."
    ),
}


def faults_on(target: str) -> frozenset[str]:
    """Return the names of the faults that affect ANSWER, WORK or CALLBACK."""
    return frozenset(name for name, kind in KINDS.items() if kind.affects == target)


LATENCY, EARLY = "latency", "callback-early"
# The faults that change an answer itself; the other two change only when things happen.
CHANGING = faults_on(ANSWER) - {LATENCY, EARLY}
