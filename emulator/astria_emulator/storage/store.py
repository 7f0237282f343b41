"""Rows and jobs: the values that are kept, and the `Store` protocol of what keeps them."""

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from astria_emulator.errors import trace_of

log = logging.getLogger(__name__)

# What is taken up together: by the workers, when storage runs out, and by those who call back.
# A backend that does not pretend has two lanes to itself, so that nothing else waits for it.
WORK, EXPIRY, CALLBACKS = "work", "expiry", "callbacks"
GENERATION, TRAINING = "generation", "training"
# Without slots, what was meant for them is work as any other.
LANES_OF_SLOTS = (GENERATION, TRAINING)
# What `finish` completes. Expiry is not work: it is due when its time has come.
LANES_TO_FINISH = (WORK, *LANES_OF_SLOTS)
LANES_BY_TIME = (*LANES_TO_FINISH, EXPIRY)
LANES: Mapping[str, str] = {
    "expire_tune": EXPIRY,
    "send_callback": CALLBACKS,
    "generate_on_slot": GENERATION,
    "train_on_slot": TRAINING,
}
# Own ids start above every gallery id, and tunes and prompts are as long as the service's own.
FIRST_ID: Mapping[str, int] = {"tune": 5_000_001, "prompt": 45_000_001, "pack": 5_001}
NOTHING: Mapping[str, Any] = {}
Key = tuple[str, int]  # an object's table and id


@dataclass(frozen=True, eq=False)
class Row(Mapping[str, Any]):
    """One object as it is now; a change makes a new row.

    `uid` is never given twice in a table, not even after a reset, when ids begin anew. `refs` are
    what it is found by: the ids of a prompt's tunes, or a text such as `pack:260`. `rendered` keeps
    its JSON, which lives as long as the row. `home` names the process that made it, where several
    share a store.
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
        """What it is after a change."""
        return Row(self.table, self.id, self.uid, self.owner, data, refs, home=self.home)

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Query:
    """Which rows, newest first. `owner` None means the gallery's; `test` narrows further."""

    owner: int | None
    ref: int | str | None = None
    before_id: int | None = None
    offset: int = 0
    limit: int | None = None
    test: Callable[[Row], bool] | None = None

    def page(self, asked: Mapping[str, Any]) -> "Query":
        """The part of it that a request asks for in its query string."""
        names = ("before_id", "offset", "limit")
        return replace(self, **{name: asked[name] for name in names if name in asked})


@dataclass(frozen=True)
class Job:
    """Work to be done on one object, not before `due`.

    `attempt` counts how often it was claimed. A claim stands until the job is ended or let go or,
    where processes share a store, until its lease has run out: then another may claim the job.
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

    @property
    def lane(self) -> str:
        return LANES.get(self.kind, WORK)

    def claimed(self) -> "Job":
        """What it is once it has been claimed."""
        what = (self.id, self.kind, self.table, self.target, self.target_uid, self.due)
        attempt = self.attempt + 1
        return Job(*what, "running", attempt, self.progress, self.cancel, self.home)


def split_times(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, datetime]]:
    """A row's data as JSON has words for it, and its times, for which JSON has none."""
    times = {name: value for name, value in data.items() if isinstance(value, datetime)}
    return {name: value for name, value in data.items() if name not in times}, times


def act_on_commit(acts: Iterable[Callable[[], object]]) -> None:
    """Do what was put off until a transaction's end; that it has succeeded stands."""
    for act in acts:
        try:
            act()
        except Exception as error:
            log.error("after a transaction\n%s", trace_of(error))


Run = Callable[[Job, datetime], None]


class Store(Protocol):
    """What keeps the state. Every method is atomic, and may raise Unavailable.

    `transaction` makes several so: an exception that leaves it takes all of them back, and calls
    what was given to `on_rollback`; else what was given to `on_commit` is called after it. One that
    writes sees nothing of others until its end, and they wait for it.

    `is_shared`: other processes may change it, and are not told of.
    """

    is_shared: bool

    def transaction(self) -> AbstractContextManager[None]: ...
    def on_rollback(self, act: Callable[[], object]) -> None: ...
    def on_commit(self, act: Callable[[], object]) -> None: ...
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
        progress: Mapping[str, Any] = NOTHING,
    ) -> Job: ...
    def next_due(self, lanes: Iterable[str], *, skip: Container[Job] = ()) -> datetime | None: ...
    def claim_job(
        self, lanes: Iterable[str], now: datetime | None, *, skip: Container[Job] = ()
    ) -> Job | None: ...
    def end_job(self, job: Job) -> bool: ...
    def release_job(self, job: Job) -> None: ...
    def report(self, job: Job, progress: Mapping[str, Any]) -> bool: ...
    def cancel_jobs(self, row: Row) -> None: ...
    def has_jobs(self, lane: str) -> bool: ...
    def jobs(self) -> list[Job]: ...
    def renew_claims(self) -> None: ...
    def close(self) -> None: ...
