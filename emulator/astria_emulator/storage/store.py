"""Rows and jobs, and the `Store` protocol of what stores them."""

import logging
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from astria_emulator.clock import Clock
from astria_emulator.errors import trace_of

log = logging.getLogger(__name__)

# A lane holds the jobs that the same threads claim: workers, expiry, senders of callbacks.
# A backend that really trains has two lanes to itself, so that nothing else waits for it.
WORK, EXPIRY, CALLBACKS = "work", "expiry", "callbacks"
GENERATION, TRAINING = "generation", "training"
# Where the backend has no slots, workers take these jobs too.
LANES_OF_SLOTS = (GENERATION, TRAINING)
# The lanes that `finish` completes. Expiry is not among them: it waits for its time.
LANES_TO_FINISH = (WORK, *LANES_OF_SLOTS)
LANES_BY_TIME = (*LANES_TO_FINISH, EXPIRY)
LANES: Mapping[str, str] = {
    "expire_tune": EXPIRY,
    "send_callback": CALLBACKS,
    "generate_on_slot": GENERATION,
    "train_on_slot": TRAINING,
}
# Above every id of the gallery; ids of tunes and prompts have as many digits as the service's.
FIRST_ID: Mapping[str, int] = {"tune": 5_000_001, "prompt": 45_000_001, "pack": 5_001}
NO_PROGRESS: Mapping[str, Any] = {}
Key = tuple[str, int]  # an object's table and id


@dataclass(frozen=True, eq=False)
class Row(Mapping[str, Any]):
    """One version of an object, immutable: an update makes a new row.

    `uid` is unique in its table for ever: a reset starts ids from the beginning, but not uids.
    `refs` are further keys to find it by: the ids of a prompt's tunes, or a text such as
    `pack:260`. `rendered` caches its JSON as long as the row lives. `home` names the process that
    made it, where several share a store.
    """

    table: str
    id: int
    uid: int
    owner: int | None
    data: Mapping[str, Any]
    refs: tuple[int | str, ...] = ()
    rendered: dict[str, bytes] = field(default_factory=dict, repr=False)
    home: str = ""

    def changed(self, data: Mapping[str, Any], refs: tuple[int | str, ...]) -> "Row":
        """Return the object's next version."""
        return Row(
            table=self.table,
            id=self.id,
            uid=self.uid,
            owner=self.owner,
            data=data,
            refs=refs,
            home=self.home,
        )

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Query:
    """Selects rows, newest first. `owner` None means the gallery; `test` filters the rest."""

    owner: int | None
    ref: int | str | None = None
    before_id: int | None = None
    offset: int = 0
    limit: int | None = None
    test: Callable[[Row], bool] | None = None

    def page(self, parameters: Mapping[str, Any]) -> "Query":
        """Return the query for the page that a request's query string selects."""
        names = ("before_id", "offset", "limit")
        return replace(self, **{name: parameters[name] for name in names if name in parameters})


@dataclass(frozen=True)
class Job:
    """Work to be done on one object, not before `due`.

    `receiver` is the host and port that it calls, if it calls one: receivers can take turns.

    `attempt` counts its claims. A claim is valid until the job is ended or released. Where
    processes share a store, it is also valid no longer than its lease: then another process may
    claim the job.
    """

    id: int
    kind: str
    table: str
    target: int
    target_uid: int
    due: datetime
    state: str = "waiting"
    attempt: int = 0
    progress: Mapping[str, Any] = field(default_factory=dict)
    cancel: bool = False
    home: str = ""
    receiver: str = ""

    @property
    def lane(self) -> str:
        return LANES.get(self.kind, WORK)

    def claimed(self) -> "Job":
        """Return the job as it is after a claim."""
        return replace(self, state="running", attempt=self.attempt + 1)


@dataclass(frozen=True)
class Turn:
    """Whose job is next where receivers take turns, in the order of their names.

    after: the receiver that came last; None before the first one. `full`: receivers that are passed
    over.
    """

    after: str | None = None
    full: Collection[str] = ()


def split_times(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, datetime]]:
    """Split a row's data into JSON values and times, for which JSON has no type."""
    times = {name: value for name, value in data.items() if isinstance(value, datetime)}
    return {name: value for name, value in data.items() if name not in times}, times


def run_all(actions: Iterable[Callable[[], object]]) -> None:
    """Run what waited for the end of a transaction. An error is logged, and stops no other."""
    for action in actions:
        try:
            action()
        except Exception as error:
            log.error("after a transaction\n%s", trace_of(error))


Run = Callable[[Job, datetime], None]


class Store(Protocol):
    """Stores all rows and jobs. Every method is atomic, and may raise Unavailable.

    `transaction` makes several calls atomic together. An exception that leaves it undoes them and
    runs the actions of `on_rollback`; otherwise those of `on_commit` run after it. Actions of
    `before_commit` run at its end, and one that raises undoes it. A transaction that writes sees no
    changes of others until its end: they wait for it.

    `is_shared`: other processes may change it too, without notice to this one. `clock`: the real
    time by which its jobs are due. `problem` says, at once, why the store cannot be used now, as
    far as is known.
    """

    is_shared: bool
    clock: Clock

    def problem(self) -> str | None: ...
    def transaction(self) -> AbstractContextManager[None]: ...
    def before_commit(self, action: Callable[[], object]) -> None: ...
    def on_rollback(self, action: Callable[[], object]) -> None: ...
    def on_commit(self, action: Callable[[], object]) -> None: ...
    def insert(
        self,
        table: str,
        owner: int | None,
        data: Mapping[str, Any],
        *,
        id: int | None = None,
        refs: tuple[int | str, ...] = (),
    ) -> Row: ...
    def get(self, table: str, id: int) -> Row | None: ...
    def current(self, row: Row) -> Row | None: ...
    def update(
        self, row: Row, changes: Mapping[str, Any], *, refs: tuple[int | str, ...] | None = None
    ) -> Row: ...
    def delete(self, row: Row) -> None: ...
    def find(self, table: str, query: Query) -> list[Row]: ...
    def rows(self) -> list[Row]: ...
    def next_ids(self) -> dict[str, int]: ...
    def set_next_ids(self, ids: Mapping[str, int]) -> None: ...
    def reset(self) -> None: ...
    def add_job(
        self,
        kind: str,
        row: Row,
        due: datetime,
        *,
        attempt: int = 0,
        progress: Mapping[str, Any] = NO_PROGRESS,
        receiver: str = "",
    ) -> Job: ...
    def next_due(self, lanes: Iterable[str], *, skip: Container[Job] = ()) -> datetime | None: ...
    def claim_job(
        self, lanes: Iterable[str], now: datetime | None, *, skip: Container[Job] = ()
    ) -> Job | None: ...
    def next_in_turn(self, lane: str, turn: Turn) -> Job | None: ...
    def claim_in_turn(self, lane: str, turn: Turn) -> Job | None: ...
    def end_job(self, job: Job) -> bool: ...
    def release_job(self, job: Job, *, due: datetime | None = None) -> None: ...
    def report(self, job: Job, progress: Mapping[str, Any]) -> bool: ...
    def cancel_jobs(self, row: Row) -> None: ...
    def has_jobs(self, lane: str) -> bool: ...
    def jobs(self, *, limit: int | None = None) -> list[Job]: ...
    def renew_claims(self) -> None: ...
    def close(self) -> None: ...
