"""The changes of one transaction: written at its end, or before it searches something."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import ClauseElement

from astria_emulator.storage.sql import statements as sql
from astria_emulator.storage.sql.records import job_record, named, ref_records, row_record
from astria_emulator.storage.sql.session import Record, Session
from astria_emulator.storage.store import Job, Key, Row


@dataclass
class UnitOfWork:
    """What a transaction changed. `rows` are as it sees them; None is a deleted one."""

    session: Session
    rows: dict[Key, Row | None] = field(default_factory=dict)
    written: dict[Key, Row | None] = field(default_factory=dict)  # as they are in the database
    changed: dict[Key, None] = field(default_factory=dict)  # since they were written
    jobs: list[Job] = field(default_factory=list)
    before_commit: list[Callable[[], object]] = field(default_factory=list)
    on_rollback: list[Callable[[], object]] = field(default_factory=list)
    on_commit: list[Callable[[], object]] = field(default_factory=list)
    _counters: dict[str, int] | None = None
    _written_counters: dict[str, int] = field(default_factory=dict)

    def put(self, was: Row | None, row: Row | None) -> None:
        """Note a change from a row to its next version; None: not inserted yet, or deleted."""
        for version in (was, row):
            if version is not None:
                self.written.setdefault((version.table, version.id), was)
                self.rows[version.table, version.id] = row
                self.changed[version.table, version.id] = None

    @property
    def counters(self) -> dict[str, int]:
        if self._counters is None:
            self._counters = dict(self.session.rows(sql.COUNTERS_NOW))
            self._written_counters = dict(self._counters)
        return self._counters

    def next(self, name: str, first: int = 1) -> int:
        """Return the next number of a counter."""
        number = self.counters.get(name, first)
        self.counters[name] = number + 1
        return number

    def flush(self) -> None:
        """Write all changes to the database."""
        changes = [(self.written[key], self.rows[key]) for key in self.changed]
        changes = [(was, row) for was, row in changes if row is not was]
        inserted = [row for was, row in changes if row and not was]
        deleted = [was for was, row in changes if was and not row]
        updated = [(was, row) for was, row in changes if was and row]
        old_refs = [ref for was, row in changes for ref in ref_records(was, without=row)]
        new_refs = [ref for was, row in changes for ref in ref_records(row, without=was)]
        self._run(sql.DELETE_REF, map(named, old_refs))
        self._run(sql.DELETE_ROW, ({"b_kind": row.table, "b_id": row.id} for row in deleted))
        self._run(sql.INSERT_ROW, map(row_record, inserted))
        self._run(sql.UPDATE_ROW, (named(row_record(row)) for _, row in updated))
        self._run(sql.INSERT_REF, new_refs)
        self._run(sql.INSERT_JOB, map(job_record, self.jobs))
        self.written.update({key: self.rows[key] for key in self.changed})
        self.changed.clear()
        self.jobs.clear()
        if self._counters is not None:
            new = self._counters.items() - self._written_counters.items()
            updates = [change for change in new if change[0] in self._written_counters]
            self._run(sql.UPDATE_COUNTER, ({"b_name": n, "b_value": v} for n, v in updates))
            self._run(sql.INSERT_COUNTER, ({"name": n, "value": v} for n, v in new - set(updates)))
            self._written_counters = dict(self._counters)

    def reset(self, **counters: int) -> None:
        """Delete every row, job and counter, and start with these counters."""
        for statement in sql.FORGET:
            self.session.run(statement)
        self.rows.clear()
        self.written.clear()
        self.changed.clear()
        self.jobs.clear()
        self._counters, self._written_counters = counters, {}

    def _run(self, statement: ClauseElement, records: Iterable[Record]) -> None:
        if batch := list(records):
            self.session.run(statement, *batch)
