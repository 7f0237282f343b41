"""The default store: everything in this process, gone when it ends."""

import itertools
import threading
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from astria_emulator.storage.memory_tables import Tables
from astria_emulator.storage.store import FIRST_ID, NOTHING, Job, Query, Row, act_on_commit


class MemoryStore:
    """Everything in this process; gone when it ends."""

    is_shared = False

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._tables = Tables()
        self._undo: list[Callable[[], object]] | None = None  # None outside of a transaction
        self._later: list[Callable[[], object]] = []
        # Not begun anew by a reset: work of before it must not be taken for work of after it.
        self._job_ids, self._uids = itertools.count(1), itertools.count(1)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            if self._undo is not None:  # within another one, whose end counts
                yield
                return
            self._undo, self._later = [], []
            try:
                yield
                later = self._later
            except BaseException:
                undo, self._undo = self._undo, None
                for act in reversed(undo):
                    act()
                raise
            finally:
                self._undo = None
        act_on_commit(later)

    def on_rollback(self, act: Callable[[], object]) -> None:
        with self._lock:
            if self._undo is not None:
                self._undo.append(act)

    def on_commit(self, act: Callable[[], object]) -> None:
        with self._lock:
            if self._undo is not None:
                self._later.append(act)
                return
        act()

    # -- rows --------------------------------------------------------------------------------------
    def insert(
        self,
        table: str,
        owner: int | None,
        data: Mapping[str, Any],
        *,
        id: int | None = None,
        refs: tuple[int | str, ...] = (),
    ) -> Row:
        with self._lock:
            tables = self._tables
            if id is None:
                id = tables.next_id.get(table, FIRST_ID.get(table, 1))
                tables.next_id[table] = id + 1
                self.on_rollback(partial(tables.next_id.__setitem__, table, id))
            row = Row(table, id, next(self._uids), owner, {**data, "id": id}, refs)
            self._tables.put(row)
            self.on_rollback(lambda: self._tables.drop(row))
            return row

    def get(self, table: str, id: int) -> Row | None:
        with self._lock:
            return self._tables.rows[table].get(id)

    def current(self, row: Row) -> Row | None:
        """The newest version of a row; None when it is gone, or another has its id."""
        found = self.get(row.table, row.id)
        return found if found is not None and found.uid == row.uid else None

    def update(
        self, row: Row, changes: Mapping[str, Any], *, refs: tuple[int | str, ...] | None = None
    ) -> Row:
        """Apply changes to the newest version of a row. A deleted row stays deleted."""
        with self._lock:
            current = self.current(row)
            if current is None:
                return row
            data = {**current.data, **changes}
            new = current.changed(data, current.refs if refs is None else refs)
            self._tables.exchange(current, new)
            self.on_rollback(lambda: self._tables.exchange(new, current))
            return new

    def delete(self, row: Row) -> None:
        with self._lock:
            current = self.current(row)
            if current is not None:
                self._tables.drop(current)
                self.on_rollback(lambda: self._tables.put(current))

    def find(self, table: str, query: Query) -> list[Row]:
        with self._lock:
            rows = self._tables.rows[table]
            key = (table, query.owner) if query.ref is None else (table, query.owner, query.ref)
            ids = self._tables.index.get(key, [])
            end = len(ids) if query.before_id is None else bisect_left(ids, query.before_id)
            found = (rows[ids[at]] for at in range(end - 1, -1, -1))
            if query.test:
                found = (row for row in found if query.test(row))
            stop = None if query.limit is None else query.offset + query.limit
            return list(itertools.islice(found, query.offset, stop))

    def rows(self) -> list[Row]:
        """All rows, by table and id."""
        with self._lock:
            tables = sorted(self._tables.rows.items())
            return [rows[id] for _, rows in tables for id in sorted(rows)]

    def next_ids(self) -> dict[str, int]:
        """The id that a table's next row is given, where it has had a row."""
        with self._lock:
            return dict(self._tables.next_id)

    def set_next_ids(self, ids: Mapping[str, int]) -> None:
        with self._lock:
            self.on_rollback(partial(setattr, self._tables, "next_id", self._tables.next_id))
            self._tables.next_id = {**self._tables.next_id, **ids}

    def reset(self) -> None:
        with self._lock:
            old = self._tables
            self._tables = Tables()
            self.on_rollback(partial(setattr, self, "_tables", old))
            self.on_commit(old.free)

    # -- jobs --------------------------------------------------------------------------------------
    def add_job(
        self,
        kind: str,
        row: Row,
        due: datetime,
        *,
        attempt: int = 0,
        progress: Mapping[str, Any] = NOTHING,
    ) -> Job:
        """Note work to be done; one that was begun elsewhere goes on from there."""
        with self._lock:
            what = (next(self._job_ids), kind, row.table, row.id, row.uid, due)
            job = Job(*what, attempt=attempt, progress=progress)
            self._tables.queue(job)
            self.on_rollback(lambda: self.end_job(job))
            return job

    def next_due(self, lanes: Iterable[str], *, skip: Container[Job] = ()) -> datetime | None:
        """When the first waiting job of some lanes is due that is not to be passed over."""
        with self._lock:
            first = self._tables.first_waiting(lanes, skip)
            return first.due if first else None

    def claim_job(
        self, lanes: Iterable[str], now: datetime | None, *, skip: Container[Job] = ()
    ) -> Job | None:
        """Take the first waiting job by (due, id); with `now` None one that is not due yet, too."""
        with self._lock:
            job = self._tables.first_waiting(lanes, skip)
            if job is None or (now is not None and job.due > now):
                return None
            claimed = job.claimed()
            self._tables.jobs[job.id] = claimed
            return claimed

    def end_job(self, job: Job) -> bool:
        """End a job, unless another claim of it stands; tells whether that was done."""
        with self._lock:
            current = self._tables.jobs.get(job.id)
            if current is None or current.attempt != job.attempt:
                return False
            self._tables.forget(current)
            self.on_rollback(lambda: self._tables.queue(current))
            return True

    def release_job(self, job: Job) -> None:
        """Work at a job no longer: one that has not ended waits again."""
        with self._lock:
            if current := self._claimed(job):
                self._tables.forget(current)
                self._tables.queue(replace(current, state="waiting"))

    def report(self, job: Job, progress: Mapping[str, Any]) -> bool:
        """Keep a running job's progress; tells whether it shall go on."""
        with self._lock:
            current = self._claimed(job)
            if current is None or current.cancel:
                return False
            self._tables.jobs[job.id] = replace(current, progress=dict(progress))
            return True

    def cancel_jobs(self, row: Row) -> None:
        """Drop an object's waiting jobs, and ask those that run to stop."""
        with self._lock:
            for job_id in list(self._tables.jobs_of.get((row.table, row.id), ())):
                job = self._tables.jobs[job_id]
                if job.state == "waiting":
                    self.end_job(job)
                else:
                    self._tables.jobs[job_id] = replace(job, cancel=True)
                    self.on_rollback(partial(self._go_on, job_id))

    def has_jobs(self, lane: str) -> bool:
        with self._lock:
            return self._tables.jobs_in[lane] > 0

    def jobs(self) -> list[Job]:
        """All jobs that have not ended, by (due, id)."""
        with self._lock:
            return sorted(self._tables.jobs.values(), key=lambda job: (job.due, job.id))

    def renew_claims(self) -> None:
        """Nothing: a claim stands until this process ends, and all is forgotten then."""

    def close(self) -> None:
        """Nothing is left open."""

    def _claimed(self, job: Job) -> Job | None:
        """A job as it is now, while a claim of it stands."""
        current = self._tables.jobs.get(job.id)
        held = current and current.state == "running" and current.attempt == job.attempt
        return current if held else None

    def _go_on(self, job_id: int) -> None:
        if job_id in self._tables.jobs:
            self._tables.jobs[job_id] = replace(self._tables.jobs[job_id], cancel=False)
