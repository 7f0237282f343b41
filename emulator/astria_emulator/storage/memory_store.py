"""The default store: all rows and jobs in this process, lost when it ends."""

import itertools
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from astria_emulator.clock import Clock, SystemClock
from astria_emulator.storage.memory_tables import Tables
from astria_emulator.storage.store import (
    FIRST_ID,
    NO_PROGRESS,
    Job,
    Query,
    Row,
    Turn,
    run_all,
)


class MemoryStore:
    """All rows and jobs in this process. Every method takes one lock."""

    is_shared = False

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self._lock = threading.RLock()
        self._tables = Tables()
        self._undo: list[Callable[[], object]] | None = None  # None outside of a transaction
        self._before: list[Callable[[], object]] = []
        self._later: list[Callable[[], object]] = []
        # Not restarted by a reset: old work must not be mistaken for new work.
        self._job_ids, self._uids = itertools.count(1), itertools.count(1)

    def problem(self) -> None:
        return None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            if self._undo is not None:  # nested: the outer one commits
                yield
                return
            self._undo, self._before, self._later = [], [], []
            try:
                yield
                for action in self._before:
                    action()
                later = self._later
            except BaseException:
                undo, self._undo = self._undo, None
                run_all(reversed(undo))
                raise
            finally:
                self._undo = None
        run_all(later)

    def before_commit(self, action: Callable[[], object]) -> None:
        with self._lock:
            self._before.append(action)

    def on_rollback(self, action: Callable[[], object]) -> None:
        with self._lock:
            if self._undo is not None:
                self._undo.append(action)

    def on_commit(self, action: Callable[[], object]) -> None:
        with self._lock:
            if self._undo is not None:
                self._later.append(action)
                return
        action()

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
            uid = next(self._uids)
            row = Row(table=table, id=id, uid=uid, owner=owner, data={**data, "id": id}, refs=refs)
            self._tables.put(row)
            self.on_rollback(lambda: self._tables.drop(row))
            return row

    def get(self, table: str, id: int) -> Row | None:
        with self._lock:
            return self._tables.rows[table].get(id)

    def current(self, row: Row) -> Row | None:
        """Return a row's newest version; None when it is deleted, or another has its id."""
        newest = self.get(row.table, row.id)
        return newest if newest is not None and newest.uid == row.uid else None

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
            self._tables.replace(current, new)
            self.on_rollback(lambda: self._tables.replace(new, current))
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
            ids = self._tables.index.get(key)
            matches = (rows[id] for id in ids.below(query.before_id)) if ids else iter(())
            if query.test:
                matches = (row for row in matches if query.test(row))
            stop = None if query.limit is None else query.offset + query.limit
            return list(itertools.islice(matches, query.offset, stop))

    def rows(self) -> list[Row]:
        """Return all rows, by table and id."""
        with self._lock:
            tables = sorted(self._tables.rows.items())
            return [rows[id] for _, rows in tables for id in sorted(rows)]

    def next_ids(self) -> dict[str, int]:
        """Return the next id of each table that has had a row."""
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
        progress: Mapping[str, Any] = NO_PROGRESS,
        receiver: str = "",
    ) -> Job:
        """Add a job. One from an import continues with its attempt and progress."""
        with self._lock:
            job = Job(
                id=next(self._job_ids),
                kind=kind,
                table=row.table,
                target=row.id,
                target_uid=row.uid,
                due=due,
                attempt=attempt,
                progress=progress,
                receiver=receiver,
            )
            self._tables.add_job(job)
            self.on_rollback(lambda: self.end_job(job))
            return job

    def next_due(self, lanes: Iterable[str], *, skip: Container[Job] = ()) -> datetime | None:
        """Return when the first waiting job of some lanes is due, those in `skip` left out."""
        with self._lock:
            first = self._tables.first_waiting(lanes, skip)
            return first.due if first else None

    def claim_job(
        self, lanes: Iterable[str], now: datetime | None, *, skip: Container[Job] = ()
    ) -> Job | None:
        """Claim the first waiting job by (due, id). `now` None: also one that is not due yet."""
        with self._lock:
            job = self._tables.first_waiting(lanes, skip)
            if job is None or (now is not None and job.due > now):
                return None
            return self._claim(job)

    def next_in_turn(self, lane: str, turn: Turn) -> Job | None:
        """Return the first waiting job of the receiver whose turn it is."""
        with self._lock:
            return self._tables.queues[lane].first_in_turn(turn)

    def claim_in_turn(self, lane: str, turn: Turn) -> Job | None:
        """Claim the first waiting job, due or not, of the receiver whose turn it is."""
        with self._lock:
            job = self.next_in_turn(lane, turn)
            return self._claim(job) if job else None

    def _claim(self, job: Job) -> Job:
        claimed = self._tables.jobs[job.id] = job.claimed()
        return claimed

    def end_job(self, job: Job) -> bool:
        """End a job unless it is claimed elsewhere; return whether it was ended."""
        with self._lock:
            current = self._tables.jobs.get(job.id)
            if current is None or current.attempt != job.attempt:
                return False
            self._tables.remove_job(current)
            self.on_rollback(lambda: self._tables.add_job(current))
            return True

    def release_job(self, job: Job, *, due: datetime | None = None) -> None:
        """Give up the claim of a job. One that has not ended waits again, until `due` if given."""
        with self._lock:
            if current := self._claimed(job):
                self._tables.remove_job(current)
                self._tables.add_job(replace(current, state="waiting", due=due or current.due))

    def report(self, job: Job, progress: Mapping[str, Any]) -> bool:
        """Store a running job's progress; return whether the job should go on."""
        with self._lock:
            current = self._claimed(job)
            if current is None or current.cancel:
                return False
            self._tables.jobs[job.id] = replace(current, progress=dict(progress))
            return True

    def cancel_jobs(self, row: Row) -> None:
        """Delete an object's waiting jobs, and ask its running jobs to stop."""
        with self._lock:
            for job_id in list(self._tables.jobs_of.get((row.table, row.id), ())):
                job = self._tables.jobs[job_id]
                if job.state == "waiting":
                    self.end_job(job)
                else:
                    self._tables.jobs[job_id] = replace(job, cancel=True)
                    self.on_rollback(partial(self._withdraw_cancel, job_id))

    def has_jobs(self, lane: str) -> bool:
        with self._lock:
            return self._tables.jobs_in[lane] > 0

    def jobs(self, *, limit: int | None = None) -> list[Job]:
        """Return the jobs that have not ended, by (due, id); the first `limit` of them."""
        with self._lock:
            jobs = list(self._tables.jobs.values())
        return sorted(jobs, key=lambda job: (job.due, job.id))[:limit]

    def renew_claims(self) -> None:
        """Do nothing: a claim is valid as long as this process, and so is the store."""

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _claimed(self, job: Job) -> Job | None:
        """Return a job's newest version; None when its claim is no longer valid."""
        current = self._tables.jobs.get(job.id)
        valid = current and current.state == "running" and current.attempt == job.attempt
        return current if valid else None

    def _withdraw_cancel(self, job_id: int) -> None:
        if job_id in self._tables.jobs:
            self._tables.jobs[job_id] = replace(self._tables.jobs[job_id], cancel=False)
