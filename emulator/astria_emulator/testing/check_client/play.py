"""What one play is, as plain data: a command, a scenario, and all that happened.

Times are seconds since the command began.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from astria_emulator.faults.kinds import CHANGING
from astria_emulator.faults.reading import Scenario

# What a request that makes an object makes. A run of a pack may make many, and counts as none.
CREATES = {
    "create_tune": "tune",
    "create_prompt": "prompt",
    "create_tune_prompt": "prompt",
    "duplicate_prompt": "prompt",
}
TO_CALL_BACK = frozenset({"callback", "prompts_callback"})
TOO_MANY = 429
CLOCK_SECONDS = 0.002  # by which the times of two events may be off: the journal has milliseconds


@dataclass(frozen=True)
class Request:
    """One request, as the journal has it. `made`: the id of the object that it made, or found."""

    id: int
    start: float
    end: float
    method: str
    path: str
    operation: str | None
    query: Any
    body: Any
    status: int | None
    faults: tuple[str, ...] = ()
    made: int | None = None

    @property
    def table(self) -> str | None:
        """What kind of object it is to make."""
        return CREATES.get(self.operation or "")

    @property
    def is_well_answered(self) -> bool:
        """Whether the client could read what it wanted to know."""
        is_good = self.status is not None and 200 <= self.status < 300
        return is_good and not CHANGING.intersection(self.faults)

    @property
    def is_lost(self) -> bool:
        """Whether it made an object, and the client was not told."""
        return self.made is not None and not self.is_well_answered

    @property
    def is_undone(self) -> bool:
        """Whether it would have made an object, had it been sent at another time."""
        is_passing = self.status is None or self.status == TOO_MANY or self.status >= 500
        return self.table is not None and self.made is None and is_passing

    def is_after(self, moment: float) -> bool:
        """Whether it may have been sent because of something that happened then."""
        return self.start >= moment - CLOCK_SECONDS

    @cached_property
    def sameness(self) -> str:
        """What it has in common with a repetition of it.

        Addresses to call back are left out: their ports and secrets differ from play to play.
        """
        what = [self.method, self.path, self.query, without_callbacks(self.body)]
        return json.dumps(what, sort_keys=True, default=str)


def without_callbacks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_callbacks(v) for k, v in value.items() if k not in TO_CALL_BACK}
    if isinstance(value, list):
        return [without_callbacks(item) for item in value]
    return value


@dataclass(frozen=True)
class Callback:
    """One call, or one that a fault has dropped: then `ended` is None.

    object, object_id: whom it is about. `url`: without its query. `status`: what the client
    answered; None with an `error` where it answered nothing.
    """

    object: str
    object_id: int
    url: str
    sent: float
    ended: float | None
    status: int | None = None
    error: str | None = None
    fault: str | None = None

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Thing:
    """A tune or prompt as it was in the end.

    ended: when it was trained or done; None where it never was. `under`: the tunes of a prompt.
    """

    table: str
    id: int
    created: float
    ended: float | None
    under: tuple[int, ...] = ()


@dataclass(frozen=True)
class Play:
    """A command that was run through one scenario.

    exit: its exit code; None where it had to be ended. `output`: the last of what it printed.
    `struck`: how often a fault has struck.
    """

    scenario: Scenario
    seconds: float
    exit: int | None
    output: str = ""
    struck: int = 0
    requests: Sequence[Request] = ()
    callbacks: Sequence[Callback] = ()
    things: Sequence[Thing] = ()

    @property
    def name(self) -> str:
        return self.scenario.name

    def alike(self, table: str | None = None) -> dict[str, list[Request]]:
        """Requests that repeat each other, in order; only those that make objects of a table."""
        found: dict[str, list[Request]] = {}
        for request in self.requests:
            if table in (None, request.table):
                found.setdefault(request.sameness, []).append(request)
        return found

    def reads(self, thing: Thing) -> list[Request]:
        """Requests whose answers show an object, if they are good."""
        return [request for request in self.requests if _shows(request, thing)]


def made_by(requests: Sequence[Request]) -> set[int]:
    """The ids of what some requests have made."""
    return {request.made for request in requests if request.made is not None}


def _shows(request: Request, thing: Thing) -> bool:
    operation, steps = request.operation or "", request.path.split("/")
    if operation in ("get_tune", "get_prompt", "get_tune_prompt"):
        return operation.endswith(thing.table) and steps[-1] == str(thing.id)
    if operation == "list_tune_prompts":
        return thing.table == "prompt" and steps[2] in map(str, thing.under)
    return operation == f"list_{thing.table}s"


@dataclass(frozen=True)
class Finding:
    """Something that a client did wrong, and what shows it."""

    name: str
    scenario: str
    says: str
    requests: tuple[Request, ...] = ()
    callbacks: tuple[Callback, ...] = ()
