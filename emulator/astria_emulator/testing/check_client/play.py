"""A play as plain data: a command, run through one scenario, and all that happened.

Times are seconds since the command began.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from astria_emulator.faults.kinds import CHANGING
from astria_emulator.faults.reading import Scenario

# Operation -> table of the object that it creates. A run of a pack may create many: not counted.
CREATES = {
    "create_tune": "tune",
    "create_prompt": "prompt",
    "create_tune_prompt": "prompt",
    "duplicate_prompt": "prompt",
}
TO_CALL_BACK = frozenset({"callback", "prompts_callback"})
TOO_MANY = 429
CLOCK_SECONDS = 0.002  # possible error between two times: the journal has milliseconds


@dataclass(frozen=True)
class Request:
    """One request of the journal. `made`: the id of the object that it created or found."""

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
        """The table of the object that it is meant to create."""
        return CREATES.get(self.operation or "")

    @property
    def is_well_answered(self) -> bool:
        """Whether the client got a complete 2xx answer."""
        is_good = self.status is not None and 200 <= self.status < 300
        return is_good and not CHANGING.intersection(self.faults)

    @property
    def is_lost(self) -> bool:
        """Whether it created an object, and the client did not get the answer."""
        return self.made is not None and not self.is_well_answered

    @property
    def is_undone(self) -> bool:
        """Whether it created no object because of a problem that passes."""
        is_passing = self.status is None or self.status == TOO_MANY or self.status >= 500
        return self.table is not None and self.made is None and is_passing

    def is_after(self, moment: float) -> bool:
        """Whether it was sent late enough to be a reaction to something at that time."""
        return self.start >= moment - CLOCK_SECONDS

    @cached_property
    def content(self) -> str:
        """Method, path, query and body as one text: equal for repetitions of a request.

        Addresses to call back are left out: their ports and secrets differ from play to play.
        """
        parts = [self.method, self.path, self.query, without_callbacks(self.body)]
        return json.dumps(parts, sort_keys=True, default=str)


def without_callbacks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_callbacks(v) for k, v in value.items() if k not in TO_CALL_BACK}
    if isinstance(value, list):
        return [without_callbacks(item) for item in value]
    return value


@dataclass(frozen=True)
class Callback:
    """One call, or one that a fault has dropped: then `ended` is None.

    object, object_id: the object that it is about. `url`: without its query. `status`: what the
    client answered; None with an `error` where it did not answer.
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
        """Whether the client answered with 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Thing:
    """A tune or prompt at the end of a play.

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

    exit: its exit code; None where it had to be ended. `output`: the last lines that it printed.
    `struck`: how many faults were injected.
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

    def repeated(self, table: str | None = None) -> dict[str, list[Request]]:
        """Return equal requests by their content, each list in order.

        table: only requests that create objects of this table.
        """
        groups: dict[str, list[Request]] = {}
        for request in self.requests:
            if table in (None, request.table):
                groups.setdefault(request.content, []).append(request)
        return groups

    def reads(self, thing: Thing) -> list[Request]:
        """Return the requests whose answers show an object if they succeed."""
        return [request for request in self.requests if _shows(request, thing)]


def made_by(requests: Sequence[Request]) -> set[int]:
    """Return the ids of the objects that some requests created."""
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
    """Something that a client did wrong, with the requests and callbacks that show it."""

    name: str
    scenario: str
    says: str
    requests: tuple[Request, ...] = ()
    callbacks: tuple[Callback, ...] = ()
