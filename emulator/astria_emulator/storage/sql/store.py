"""The store in a database. tests/storage/test_store.py tries it and the one in memory alike."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from astria_emulator.storage.sql import statements as sql
from astria_emulator.storage.sql.database import Database, Record, Session
from astria_emulator.storage.sql.records import micros, owner_number, read_job, read_row, ref_text
from astria_emulator.storage.sql.transactions import Transactions
from astria_emulator.storage.store import FIRST_ID, NOTHING, Job, Query, Row

Claim = tuple[int, int]

LAST = 2**63 - 1
REMEMBERED = 2048  # rows that are kept as they were read, with their JSON
BATCH = 200  # rows or jobs that are looked through at a time
FIRST = 4  # jobs that are looked at first: most often one of them may be taken
EPOCH_BITS = 40  # ids are below
NO_TABLES = frozenset({"epoch", "job", "schema"})  # counters of something else
LEASE_MICROS = 10_000_000
# The process that made an object runs its jobs: it knows when the request has been answered. Others
# take what is left after this time, longer than an answer is waited for.
HOME_MICROS = 3_000_000


class SqlStore:
    """Rows and jobs in a database."""

    def __init__(self, database: Database):
        self._database = database
        self.is_shared = database.is_shared
        self._transactions = Transactions(database)
        # Claims of this process, by job and attempt: those it works at, and those it has let go.
        self._running: set[Claim] = set()
        self._released: set[Claim] = set()
        # A row that has not changed is read once, and its JSON written once.
        self._read = lru_cache(REMEMBERED)(read_row)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._transactions.write():
            yield

    def on_rollback(self, act: Callable[[], object]) -> None:
        self._transactions.on_rollback(act)

    def on_commit(self, act: Callable[[], object]) -> None:
        self._transactions.on_commit(act)

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
        with self._transactions.write() as work:
            if id is None:
                id = work.next(table, FIRST_ID.get(table, 1))
            uid = (work.counters.get("epoch", 0) << EPOCH_BITS) + id
            home = self._database.home
            row = Row(table, id, uid, owner, {**data, "id": id}, refs, home=home)
            work.put(None, row)
            return row

    def get(self, table: str, id: int) -> Row | None:
        if not 0 < id <= LAST:
            return None
        work = self._transactions.work
        if work:
            if (table, id) in work.rows:
                return work.rows[table, id]
            return self._get(work.session, table, id)
        with self._database.read() as session:
            return self._get(session, table, id)

    def _get(self, session: Session, table: str, id: int) -> Row | None:
        found = session.rows(sql.GET, {"kind": table, "id": id})
        return self._read(*found[0]) if found else None

    def current(self, row: Row) -> Row | None:
        """The newest version of a row; None when it is gone, or another has its id."""
        found = self.get(row.table, row.id)
        return found if found is not None and found.uid == row.uid else None

    def update(
        self, row: Row, changes: Mapping[str, Any], *, refs: tuple[int | str, ...] | None = None
    ) -> Row:
        """Apply changes to the newest version of a row. A deleted row stays deleted."""
        with self._transactions.write() as work:
            current = self.current(row)
            if current is None:
                return row
            data = {**current.data, **changes}
            new = current.changed(data, current.refs if refs is None else refs)
            work.put(current, new)
            return new

    def delete(self, row: Row) -> None:
        with self._transactions.write() as work:
            if current := self.current(row):
                work.put(current, None)

    def find(self, table: str, query: Query) -> list[Row]:
        if query.test is None:
            limit = LAST if query.limit is None else query.limit
            return self._page(table, query, query.before_id, query.offset, limit)
        found: list[Row] = []
        end = None if query.limit is None else query.offset + query.limit
        before = query.before_id
        size = BATCH if end is None else min(end, BATCH)  # most often all of them pass
        while True:
            rows = self._page(table, query, before, 0, size)
            found += filter(query.test, rows)
            if len(rows) < size or (end is not None and len(found) >= end):
                return found[query.offset : end]
            before, size = rows[-1].id, BATCH

    def _page(
        self, table: str, query: Query, before: int | None, offset: int, limit: int
    ) -> list[Row]:
        given = {"kind": table, "owner": owner_number(query.owner), "limit": limit}
        given |= {"before": LAST if before is None else min(before, LAST), "offset": offset}
        statement = sql.PAGE if query.ref is None else sql.PAGE_OF_REF
        if query.ref is not None:
            given["ref"] = ref_text(query.ref)
        with self._transactions.read() as session:
            return [self._read(*found) for found in session.rows(statement, given)]

    def rows(self) -> list[Row]:
        """All rows, by table and id."""
        with self._transactions.read() as session:
            found = session.rows(sql.ALL_ROWS)
        return sorted((read_row(*record) for record in found), key=lambda row: (row.table, row.id))

    def next_ids(self) -> dict[str, int]:
        """The id that a table's next row is given, where it has had a row."""
        with self._transactions.read() as session:
            counters = dict(session.rows(sql.COUNTERS_NOW))
        return {name: id for name, id in counters.items() if name not in NO_TABLES}

    def set_next_ids(self, ids: Mapping[str, int]) -> None:
        with self._transactions.write() as work:
            work.counters.update(ids)

    def reset(self) -> None:
        with self._transactions.write() as work:
            kept = {name: work.counters.get(name, 1) for name in ("epoch", "job")}
            work.forget(**kept | {"epoch": kept["epoch"] + 1})

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
        with self._transactions.write() as work:
            what = (work.next("job"), kind, row.table, row.id, row.uid, due)
            job = Job(*what, attempt=attempt, progress=progress, home=row.home)
            work.jobs.append(job)
            return job

    def next_due(self, lanes: Iterable[str], *, skip: Container[Job] = ()) -> datetime | None:
        """When the first waiting job of some lanes is due that is not to be passed over."""
        with self._transactions.read() as session:
            first = self._first(session, lanes, None, skip)
            return first.due if first else None

    def claim_job(
        self, lanes: Iterable[str], now: datetime | None, *, skip: Container[Job] = ()
    ) -> Job | None:
        """Take the first waiting job by (due, id); with `now` None one that is not due yet, too."""
        while True:
            with self._transactions.read() as session:  # so that looking for work makes nobody wait
                job = self._first(session, lanes, now, skip)
            if job is None:
                return None
            mine = {"new_home": self._database.home, "term": self._term}
            with self._transactions.write() as work:
                # Another may have been as quick.
                if work.session.run(sql.CLAIM, _claim(job) | mine):
                    job = job.claimed()
                    self._running.add((job.id, job.attempt))
                    self.on_rollback(partial(self._running.discard, (job.id, job.attempt)))
                    return job

    def _first(
        self, session: Session, lanes: Iterable[str], now: datetime | None, skip: Container[Job]
    ) -> Job | None:
        found = [job for lane in lanes if (job := self._first_of(session, lane, now, skip))]
        return min(found, key=lambda job: (job.due, job.id), default=None)

    def _first_of(
        self, session: Session, lane: str, now: datetime | None, skip: Container[Job]
    ) -> Job | None:
        given = {"lane": lane, "due": LAST if now is None else micros(now)}
        given |= {"home": self._database.home, "kept": HOME_MICROS}
        offset, limit = 0, FIRST
        while True:
            found = session.rows(sql.FIRST_JOBS, {**given, "offset": offset, "limit": limit})
            for record in found:
                job = read_job(*record)
                if job not in skip:
                    return job
            if len(found) < limit:
                return None
            offset, limit = offset + limit, BATCH

    def end_job(self, job: Job) -> bool:
        """End a job, unless another claim of it stands; tells whether that was done."""
        claim = (job.id, job.attempt)
        if job.state == "running" and claim not in self._running:
            return False  # it has ended
        with self._transactions.write() as work:
            work.flush()
            self.on_commit(partial(self._running.discard, claim))
            return work.session.run(sql.END, _claim(job)) > 0

    def release_job(self, job: Job) -> None:
        """Work at a job no longer: one that has not ended waits again after `renew_claims`.

        Nothing is written now: most often a database that does not answer is why.
        """
        claim = (job.id, job.attempt)
        if claim in self._running:
            self._running.discard(claim)
            self._released.add(claim)

    def report(self, job: Job, progress: Mapping[str, Any]) -> bool:
        """Keep a running job's progress; tells whether it shall go on."""
        with self._transactions.write() as work:
            work.flush()
            told = {"new_progress": json.dumps(progress)}
            return work.session.run(sql.REPORT, _claim(job) | told) > 0

    def cancel_jobs(self, row: Row) -> None:
        """Drop an object's waiting jobs, and ask those that run to stop."""
        with self._transactions.write() as work:
            work.flush()
            for statement in (sql.DROP_WAITING, sql.ASK_RUNNING):
                work.session.run(statement, {"of_kind": row.table, "of": row.id})

    def has_jobs(self, lane: str) -> bool:
        with self._transactions.read() as session:
            return bool(session.rows(sql.ANY_JOB, {"of_lane": lane}))

    def jobs(self) -> list[Job]:
        """All jobs that have not ended, by (due, id)."""
        with self._transactions.read() as session:
            return [read_job(*record) for record in session.rows(sql.ALL_JOBS)]

    def renew_claims(self) -> None:
        """To be called more often than leases run out: the jobs that run here go on."""
        released = tuple(self._released)
        running = tuple(self._running) if self.is_shared else ()
        if released or running:
            with self._transactions.write() as work:
                for id, attempt in released:
                    work.session.run(sql.LET_GO, {"of_job": id, "of_attempt": attempt})
                for id, attempt in running:
                    of = {"of_job": id, "of_attempt": attempt}
                    work.session.run(sql.RENEW, of | {"term": self._term})
        self._released.difference_update(released)

    @property
    def _term(self) -> int | None:
        """How long a claim stands that is not renewed, in microseconds; None is for ever."""
        return LEASE_MICROS if self.is_shared else None

    def close(self) -> None:
        self._database.close()


def _claim(job: Job) -> Record:
    return {"of_job": job.id, "of_attempt": job.attempt}
