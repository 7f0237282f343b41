"""The store in a database. tests/storage/test_store.py runs on it and on the one in memory."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from astria_emulator.storage.sql import statements as sql
from astria_emulator.storage.sql.database import Database
from astria_emulator.storage.sql.queues import first_in_lane, first_in_turn
from astria_emulator.storage.sql.records import micros, owner_number, read_job, read_row, ref_text
from astria_emulator.storage.sql.session import Record, Session
from astria_emulator.storage.sql.shared_rows import SharedRows
from astria_emulator.storage.sql.transactions import Transactions
from astria_emulator.storage.store import FIRST_ID, NO_PROGRESS, Job, Query, Row, Turn

Claim = tuple[int, int]

LARGEST = 2**63 - 1  # of a column
CACHED_ROWS = 2048  # with their JSON
BATCH = 200  # rows that are read at a time to search them
ID_BITS = 40  # of a uid; the bits above are the epoch, which counts resets
NO_TABLES = frozenset({"epoch", "job", "schema"})  # counters that are not a table's next id
LEASE_MICROS = 10_000_000
# A job waits for the answer, which the process of its object knows of. Others leave it so long.
HOME_MICROS = 3_000_000


class SqlStore:
    """Rows and jobs in a database."""

    def __init__(self, database: Database):
        self._database = database
        self.is_shared, self.clock = database.is_shared, database.clock
        self._term = LEASE_MICROS if self.is_shared else None  # of a claim; None: for ever
        self._transactions = Transactions(database)
        # Claims of this process, by job and attempt: those it works on, and those it gave up.
        self._running: set[Claim] = set()
        self._released: set[Claim] = set()
        self._read = lru_cache(CACHED_ROWS)(read_row)  # one that does not change is parsed once
        self._shared = SharedRows()

    def problem(self) -> str | None:
        return self._database.problem()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._transactions.write():
            yield

    def before_commit(self, action: Callable[[], object]) -> None:
        self._transactions.before_commit(action)

    def on_rollback(self, action: Callable[[], object]) -> None:
        self._transactions.on_rollback(action)

    def on_commit(self, action: Callable[[], object]) -> None:
        self._transactions.on_commit(action)

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
            uid = (work.counters.get("epoch", 0) << ID_BITS) + id
            home, data = self._database.home, {**data, "id": id}
            row = Row(table=table, id=id, uid=uid, owner=owner, data=data, refs=refs, home=home)
            work.put(None, row)
            return row

    def get(self, table: str, id: int) -> Row | None:
        if not 0 < id <= LARGEST:
            return None
        work = self._transactions.work
        if work:
            if (table, id) in work.rows:
                return work.rows[table, id]
            return self._get(work.session, table, id)
        with self._database.read() as session:
            return self._get(session, table, id)

    def _get(self, session: Session, table: str, id: int) -> Row | None:
        records = session.rows(sql.GET, {"kind": table, "id": id})
        return self._read(*records[0]) if records else None

    def current(self, row: Row) -> Row | None:
        """Return a row's newest version; None when it is deleted, or another has its id."""
        newest = self.get(row.table, row.id)
        return newest if newest is not None and newest.uid == row.uid else None

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
            limit = LARGEST if query.limit is None else query.limit
            return self._page(table, query, query.before_id, query.offset, limit)
        matches: list[Row] = []
        end = None if query.limit is None else query.offset + query.limit
        before = query.before_id
        size = BATCH if end is None else min(end, BATCH)  # usually all of them pass
        while True:
            rows = self._page(table, query, before, 0, size)
            matches += filter(query.test, rows)
            if len(rows) < size or (end is not None and len(matches) >= end):
                return matches[query.offset : end]
            before, size = rows[-1].id, BATCH

    def _page(
        self, table: str, query: Query, before: int | None, offset: int, limit: int
    ) -> list[Row]:
        params = {"kind": table, "owner": owner_number(query.owner), "limit": limit}
        params |= {"before": LARGEST if before is None else min(before, LARGEST), "offset": offset}
        statement = sql.PAGE if query.ref is None else sql.PAGE_OF_REF
        if query.ref is not None:
            params["ref"] = ref_text(query.ref)
        with self._transactions.read() as session:
            return [self._read(*record) for record in session.rows(statement, params)]

    def rows(self) -> list[Row]:
        """Return all rows, by table and id. One that a caller still has is the same object."""
        with self._transactions.read() as session:
            records = session.rows(sql.ALL_ROWS)
        return sorted(map(self._shared.read, records), key=lambda row: (row.table, row.id))

    def next_ids(self) -> dict[str, int]:
        """Return the next id of each table that has had a row."""
        with self._transactions.read() as session:
            counters = dict(session.rows(sql.COUNTERS_NOW))
        return {name: id for name, id in counters.items() if name not in NO_TABLES}

    def set_next_ids(self, ids: Mapping[str, int]) -> None:
        with self._transactions.write() as work:
            work.counters.update(ids)

    def reset(self) -> None:
        with self._transactions.write() as work:
            counters = {name: work.counters.get(name, 1) for name in ("epoch", "job")}
            work.reset(**counters | {"epoch": counters["epoch"] + 1})
            self.on_commit(self._read.cache_clear)

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
        with self._transactions.write() as work:
            job = Job(
                id=work.next("job"),
                kind=kind,
                table=row.table,
                target=row.id,
                target_uid=row.uid,
                due=due,
                attempt=attempt,
                progress=progress,
                home=row.home,
                receiver=receiver,
            )
            work.jobs.append(job)
            return job

    def next_due(self, lanes: Iterable[str], *, skip: Container[Job] = ()) -> datetime | None:
        """Return when the first waiting job of some lanes is due, those in `skip` left out."""
        with self._transactions.read() as session:
            first = self._first(session, lanes, None, skip)
            return first.due if first else None

    def claim_job(
        self, lanes: Iterable[str], now: datetime | None, *, skip: Container[Job] = ()
    ) -> Job | None:
        """Claim the first waiting job by (due, id). `now` None: also one that is not due yet."""
        return self._claim(lambda session: self._first(session, lanes, now, skip))

    def next_in_turn(self, lane: str, turn: Turn) -> Job | None:
        """Return the first waiting job of the receiver whose turn it is."""
        with self._transactions.read() as session:
            return first_in_turn(session, lane, turn)

    def claim_in_turn(self, lane: str, turn: Turn) -> Job | None:
        """Claim the first waiting job, due or not, of the receiver whose turn it is."""
        return self._claim(lambda session: first_in_turn(session, lane, turn))

    def _claim(self, find: Callable[[Session], Job | None]) -> Job | None:
        while True:
            with self._transactions.read() as session:  # others do not wait for this search
                job = find(session)
            if job is None:
                return None
            changes = {"new_home": self._database.home, "term": self._term}
            with self._transactions.write() as work:
                # Another process may have claimed it since.
                if work.session.run(sql.CLAIM, _claim_of(job) | changes):
                    job = job.claimed()
                    self._running.add((job.id, job.attempt))
                    self.on_rollback(partial(self._running.discard, (job.id, job.attempt)))
                    return job

    def _first(
        self, session: Session, lanes: Iterable[str], now: datetime | None, skip: Container[Job]
    ) -> Job | None:
        params: Record = {"due": LARGEST if now is None else micros(now)}
        params |= {"home": self._database.home, "kept": HOME_MICROS}
        found = (first_in_lane(session, {**params, "lane": lane}, skip) for lane in lanes)
        return min(filter(None, found), key=lambda job: (job.due, job.id), default=None)

    def end_job(self, job: Job) -> bool:
        """End a job unless it is claimed elsewhere; return whether it was ended."""
        claim = (job.id, job.attempt)
        if job.state == "running" and claim not in self._running:
            return False  # it has ended
        with self._transactions.write() as work:
            work.flush()
            self.on_commit(partial(self._running.discard, claim))
            return work.session.run(sql.END_JOB, _claim_of(job)) > 0

    def release_job(self, job: Job, *, due: datetime | None = None) -> None:
        """Give up the claim of a job. One that has not ended waits until `renew_claims`: no `due`.

        Nothing is written now: the usual reason is a database that does not answer.
        """
        if (claim := (job.id, job.attempt)) in self._running:
            self._running.discard(claim)
            self._released.add(claim)

    def report(self, job: Job, progress: Mapping[str, Any]) -> bool:
        """Store a running job's progress; return whether the job should go on."""
        with self._transactions.write() as work:
            work.flush()
            changes = {"new_progress": json.dumps(progress)}
            return work.session.run(sql.REPORT, _claim_of(job) | changes) > 0

    def cancel_jobs(self, row: Row) -> None:
        """Delete an object's waiting jobs, and ask its running jobs to stop."""
        with self._transactions.write() as work:
            work.flush()
            for statement in (sql.DELETE_WAITING, sql.CANCEL_RUNNING):
                work.session.run(statement, {"of_kind": row.table, "of": row.id})

    def has_jobs(self, lane: str) -> bool:
        with self._transactions.read() as session:
            return bool(session.rows(sql.ANY_JOB, {"of_lane": lane}))

    def jobs(self, *, limit: int | None = None) -> list[Job]:
        """Return the jobs that have not ended, by (due, id); the first `limit` of them."""
        params = {"limit": LARGEST if limit is None else limit}
        with self._transactions.read() as session:
            return [read_job(*record) for record in session.rows(sql.JOBS_BY_DUE, params)]

    def renew_claims(self) -> None:
        """Extend the leases of jobs that run here. Call it more often than leases run out."""
        released = tuple(self._released)
        running = tuple(self._running) if self.is_shared else ()
        if released or running:
            with self._transactions.write() as work:
                for id, attempt in released:
                    work.session.run(sql.RELEASE, {"of_job": id, "of_attempt": attempt})
                for id, attempt in running:
                    claim = {"of_job": id, "of_attempt": attempt}
                    work.session.run(sql.RENEW, claim | {"term": self._term})
        self._released.difference_update(released)

    def close(self) -> None:
        self._database.close()


def _claim_of(job: Job) -> Record:
    return {"of_job": job.id, "of_attempt": job.attempt}
