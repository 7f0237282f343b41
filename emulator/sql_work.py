"""One transaction of the store in a database: its changes are written at its end, all at once.

And how rows and jobs stand in the tables: data as JSON, times as microseconds since 1970.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from emulator.database import COUNTERS, JOBS, REFS, ROWS, Record, Session
from emulator.store import Job, Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
GALLERY = 0  # the owner of rows that have none

_ROW = (ROWS.c.kind == bindparam("b_kind"), ROWS.c.id == bindparam("b_id"))
DELETE_ROW = delete(ROWS).where(*_ROW)
UPDATE_ROW = update(ROWS).where(*_ROW).values(refs=bindparam("b_refs"), data=bindparam("b_data"))
DELETE_REF = delete(REFS).where(*(column == bindparam(f"b_{column.name}") for column in REFS.c))
UPDATE_COUNTER = (
    update(COUNTERS)
    .where(COUNTERS.c.name == bindparam("b_name"))
    .values(value=bindparam("b_value"))
)
INSERT_ROW, INSERT_REF, INSERT_JOB, INSERT_COUNTER = map(insert, (ROWS, REFS, JOBS, COUNTERS))
COUNTERS_NOW = select(COUNTERS.c.name, COUNTERS.c.value)
FORGET = (*map(delete, (ROWS, REFS, JOBS)), delete(COUNTERS).where(COUNTERS.c.name != "schema"))

Key = tuple[str, int]  # a table and an id


@dataclass
class Work:
    """What a transaction has changed. `rows` are as it sees them; one that is None is deleted."""

    session: Session
    rows: dict[Key, Row | None] = field(default_factory=dict)
    written: dict[Key, Row | None] = field(default_factory=dict)  # as they are in the database
    jobs: list[Job] = field(default_factory=list)
    undo: list[Callable[[], object]] = field(default_factory=list)
    later: list[Callable[[], object]] = field(default_factory=list)
    _counters: dict[str, int] | None = None
    _written_counters: dict[str, int] = field(default_factory=dict)

    def put(self, was: Row | None, row: Row | None) -> None:
        """Change a row; None is one that is not there yet, or no more."""
        for known in (was, row):
            if known is not None:
                self.written.setdefault((known.table, known.id), was)
                self.rows[known.table, known.id] = row

    @property
    def counters(self) -> dict[str, int]:
        if self._counters is None:
            self._counters = dict(self.session.rows(COUNTERS_NOW))
            self._written_counters = dict(self._counters)
        return self._counters

    def next(self, name: str, first: int = 1) -> int:
        """The next number of a series."""
        number = self.counters.get(name, first)
        self.counters[name] = number + 1
        return number

    def flush(self) -> None:
        """Write what has changed."""
        changes = [(self.written[key], row) for key, row in self.rows.items()]
        changes = [(was, row) for was, row in changes if row is not was]
        made = [row for was, row in changes if row and not was]
        gone = [was for was, row in changes if was and not row]
        kept = [(was, row) for was, row in changes if was and row]
        reindexed = [(was, row) for was, row in kept if was.refs != row.refs]
        old_refs = [ref for row in (*gone, *(was for was, _ in reindexed)) for ref in _refs(row)]
        new_refs = [ref for row in (*made, *(row for _, row in reindexed)) for ref in _refs(row)]
        self._run(DELETE_REF, map(_named, old_refs))
        self._run(DELETE_ROW, ({"b_kind": row.table, "b_id": row.id} for row in gone))
        self._run(INSERT_ROW, map(row_record, made))
        self._run(UPDATE_ROW, (_named(row_record(row)) for _, row in kept))
        self._run(INSERT_REF, new_refs)
        self._run(INSERT_JOB, map(job_record, self.jobs))
        self.written.update(self.rows)
        self.jobs.clear()
        if self._counters is not None:
            new = self._counters.items() - self._written_counters.items()
            known = [change for change in new if change[0] in self._written_counters]
            self._run(UPDATE_COUNTER, ({"b_name": n, "b_value": v} for n, v in known))
            self._run(INSERT_COUNTER, ({"name": n, "value": v} for n, v in new - set(known)))
            self._written_counters = dict(self._counters)

    def forget(self, **counters: int) -> None:
        """Delete every row and job, and set the counters anew but for some that are given."""
        for statement in FORGET:
            self.session.run(statement)
        self.rows.clear()
        self.written.clear()
        self.jobs.clear()
        self._counters, self._written_counters = counters, {}

    def _run(self, statement: Any, records: Iterator[Record] | list[Record]) -> None:
        if given := list(records):
            self.session.run(statement, *given)


# -- how it stands in the tables -------------------------------------------------------------------
def row_record(row: Row) -> Record:
    times = {name: micros(value) for name, value in row.items() if isinstance(value, datetime)}
    plain = {name: value for name, value in row.items() if name not in times}
    return {
        "kind": row.table,
        "id": row.id,
        "uid": row.uid,
        "owner": owner_number(row.owner),
        "home": row.home,
        "refs": json.dumps(row.refs),
        "data": json.dumps([plain, times], separators=(",", ":")),
    }


def read_row(kind: str, id: int, uid: int, owner: int, home: str, refs: str, data: str) -> Row:
    """A row from a record, whose values stand in this order."""
    plain, times = json.loads(data)
    data_of_row = plain | {name: moment(value) for name, value in times.items()}
    of = None if owner == GALLERY else owner
    return Row(kind, id, uid, of, data_of_row, tuple(json.loads(refs)), home=home)


def job_record(job: Job) -> Record:
    return {
        "id": job.id,
        "lane": job.lane,
        "kind": job.kind,
        "target_kind": job.table,
        "target": job.target,
        "target_uid": job.target_uid,
        "due": micros(job.due),
        "made": int(time.time() * 1e6),
        "home": job.home,
        "state": job.state,
        "attempt": job.attempt,
        "lease": micros(job.lease) if job.lease else None,
        "progress": json.dumps(dict(job.progress)),
        "cancel": job.cancel,
    }


def read_job(
    id: int,
    lane: str,
    kind: str,
    target_kind: str,
    target: int,
    target_uid: int,
    due: int,
    made: int,
    home: str,
    state: str,
    attempt: int,
    lease: int | None,
    progress: str,
    cancel: bool,
) -> Job:
    """A job from a record, whose values stand in this order."""
    return Job(
        id,
        kind,
        target_kind,
        target,
        target_uid,
        moment(due),
        state,
        attempt,
        lease=None if lease is None else moment(lease),
        progress=json.loads(progress),
        cancel=bool(cancel),
        home=home,
    )


def owner_number(owner: int | None) -> int:
    return GALLERY if owner is None else owner


def ref_text(ref: int | str) -> str:
    """A reference as it is indexed: texts of any length and kind by a digest."""
    return (
        f"#{blake2b(ref.encode(), digest_size=16).hexdigest()}"
        if isinstance(ref, str)
        else str(ref)
    )


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def moment(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND


def _refs(row: Row) -> list[Record]:
    of = {"kind": row.table, "owner": owner_number(row.owner), "id": row.id}
    return [{**of, "ref": ref} for ref in dict.fromkeys(map(ref_text, row.refs))]


def _named(record: Mapping[str, Any]) -> Record:
    """A record as parameters of a statement that also has columns of these names."""
    return {f"b_{name}": value for name, value in record.items()}
