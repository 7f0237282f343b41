"""One transaction: what it changes is written at its end, or when something is looked for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import ClauseElement

from astria_emulator.storage.sql import statements as sql
from astria_emulator.storage.sql.database import Record, Session
from astria_emulator.storage.sql.records import job_record, named, ref_records, row_record
from astria_emulator.storage.store import Job, Key, Row


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
            self._counters = dict(self.session.rows(sql.COUNTERS_NOW))
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
        old_refs = [
            ref for row in (*gone, *(was for was, _ in reindexed)) for ref in ref_records(row)
        ]
        new_refs = [
            ref for row in (*made, *(row for _, row in reindexed)) for ref in ref_records(row)
        ]
        self._run(sql.DELETE_REF, map(named, old_refs))
        self._run(sql.DELETE_ROW, ({"b_kind": row.table, "b_id": row.id} for row in gone))
        self._run(sql.INSERT_ROW, map(row_record, made))
        self._run(sql.UPDATE_ROW, (named(row_record(row)) for _, row in kept))
        self._run(sql.INSERT_REF, new_refs)
        self._run(sql.INSERT_JOB, map(job_record, self.jobs))
        self.written.update(self.rows)
        self.jobs.clear()
        if self._counters is not None:
            new = self._counters.items() - self._written_counters.items()
            known = [change for change in new if change[0] in self._written_counters]
            self._run(sql.UPDATE_COUNTER, ({"b_name": n, "b_value": v} for n, v in known))
            self._run(sql.INSERT_COUNTER, ({"name": n, "value": v} for n, v in new - set(known)))
            self._written_counters = dict(self._counters)

    def forget(self, **counters: int) -> None:
        """Delete every row and job, and set the counters anew but for some that are given."""
        for statement in sql.FORGET:
            self.session.run(statement)
        self.rows.clear()
        self.written.clear()
        self.jobs.clear()
        self._counters, self._written_counters = counters, {}

    def _run(self, statement: ClauseElement, records: Iterable[Record]) -> None:
        if given := list(records):
            self.session.run(statement, *given)
