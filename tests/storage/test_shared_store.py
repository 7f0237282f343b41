"""Several processes on one PostgreSQL: here two stores that know nothing of each other."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from astria_emulator.errors import Unavailable
from astria_emulator.storage.sql import postgres
from astria_emulator.storage.sql import store as sql_store
from astria_emulator.storage.sql.tables import JOBS
from astria_emulator.storage.store import WORK, Job, Query, Row, Store
from tests import PATIENCE_SECONDS
from tests.databases import postgres_database, postgres_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Store, Store]]:
    with postgres_database() as url, postgres_store(url) as one, postgres_store(url) as other:
        yield one, other


@pytest.fixture
def one(pair: tuple[Store, Store]) -> Store:
    pair[0].reset()
    return pair[0]


@pytest.fixture
def other(pair: tuple[Store, Store]) -> Store:
    return pair[1]


@pytest.fixture
def _open_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are no longer kept for the process that made their object."""
    monkeypatch.setattr(sql_store, "HOME_MICROS", -60_000_000)


def lapse(store: Any) -> None:
    """The leases of a store's jobs run out, as when its process has been killed."""
    with store._database.write() as session:
        session.run(update(JOBS).values(lease=0))


def claim(store: Store) -> Job | None:
    return store.claim_job([WORK], None)


def test_what_one_writes_the_other_reads(one: Store, other: Store) -> None:
    row = one.insert("tune", 1, {"title": "a", "at": NOW}, refs=("title:a", 7))
    assert dict(other.get("tune", row.id) or {}) == {"title": "a", "at": NOW, "id": row.id}
    one.update(row, {"title": "b"}, refs=())
    assert [dict(found) for found in other.find("tune", Query(1))] == [
        {"title": "b", "at": NOW, "id": row.id}
    ]
    assert other.find("tune", Query(1, ref=7)) == []


def test_ids_are_given_once(one: Store, other: Store) -> None:
    made: list[Row] = []

    def make(store: Store) -> None:
        for _ in range(25):
            with store.transaction():
                made.extend([store.insert("tune", 1, {}), store.insert("tune", 1, {})])

    threads = [threading.Thread(target=make, args=[store]) for store in (one, other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = min(row.id for row in made)
    assert sorted(row.id for row in made) == list(range(first, first + 200))


def test_transaction_of_one_waits_for_that_of_the_other(one: Store, other: Store) -> None:
    """What is looked for and not found is not there until it is made: idempotency is exact."""
    ready = threading.Barrier(2)

    def make_once(store: Store) -> None:
        ready.wait(PATIENCE_SECONDS)
        with store.transaction():
            if not store.find("tune", Query(1, ref="title:a", limit=1)):
                store.insert("tune", 1, {}, refs=("title:a",))

    for _ in range(10):
        one.reset()
        threads = [threading.Thread(target=make_once, args=[store]) for store in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(other.find("tune", Query(1))) == 1


def test_rows_of_a_reset_by_the_other_are_gone(one: Store, other: Store) -> None:
    old = one.insert("tune", 1, {"title": "old"})
    other.reset()
    new = other.insert("tune", 1, {"title": "new"})
    assert (new.id, one.current(old)) == (old.id, None)
    one.update(old, {"title": "changed"})
    found = one.get("tune", new.id)
    assert found is not None
    assert found["title"] == "new"


def test_job_is_kept_for_the_process_that_made_its_object(
    one: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = one.insert("tune", 1, {})
    job = other.add_job("train_tune", row, NOW)  # whoever adds it
    assert other.next_due([WORK]) is None
    assert claim(other) is None
    assert other.has_jobs(WORK)
    mine = claim(one)
    assert mine is not None
    assert mine.id == job.id
    one.end_job(mine)
    one.add_job("train_tune", row, NOW)
    monkeypatch.setattr(sql_store, "HOME_MICROS", -60_000_000)
    assert claim(other) is not None


@pytest.mark.usefixtures("_open_to_all")
def test_each_job_is_claimed_by_one(one: Store, other: Store) -> None:
    row = one.insert("tune", 1, {})
    added = [one.add_job("train_tune", row, NOW).id for _ in range(40)]
    claimed: list[int] = []

    def work(store: Store) -> None:
        while job := claim(store):
            claimed.append(job.id)
            store.end_job(job)

    threads = [threading.Thread(target=work, args=[store]) for store in (one, other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == added
    assert one.jobs() == []


@pytest.mark.usefixtures("_open_to_all")
def test_job_is_taken_over_when_its_lease_has_run_out(one: Store, other: Store) -> None:
    row = one.insert("tune", 1, {})
    one.add_job("train_tune", row, NOW)
    first = claim(one)
    assert first is not None
    assert claim(other) is None
    lapse(one)
    second = claim(other)
    assert second is not None
    assert (second.id, second.attempt) == (first.id, 2)
    # Who comes back late has nothing to say any more.
    assert (one.report(first, {}), other.report(second, {})) == (False, True)
    assert one.report(first, {"step": 1}) is False
    one.end_job(first)
    assert other.report(second, {})
    assert other.report(second, {"step": 2}) is True
    assert other.jobs()[0].progress == {"step": 2}


HOUR_MICROS = 3_600_000_000


@pytest.mark.usefixtures("_open_to_all")
def test_machines_clock_that_was_set_back_before_a_start_delays_no_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with postgres_database() as url:
        with postgres_store(url) as store:
            added = store.add_job("train_tune", store.insert("tune", 1, {}), store.clock.now())
        time = postgres._machine_time
        monkeypatch.setattr(postgres, "_machine_time", lambda: time() - timedelta(hours=1))
        with postgres_store(url) as again:
            claimed = again.claim_job([WORK], again.clock.now())
        assert claimed is not None
        assert claimed.id == added.id


def test_databases_clock_that_is_set_back_keeps_no_job(one: Any, other: Store) -> None:
    """Neither that of a process that has been killed, nor that which it worked on."""
    row = one.insert("tune", 1, {})
    one.add_job("train_tune", row, NOW)
    claimed = claim(one)
    one.add_job("train_tune", row, NOW)
    assert claimed is not None
    with one._database.write() as session:
        columns = JOBS.c.made, JOBS.c.lease
        session.run(update(JOBS).values({column: column + HOUR_MICROS for column in columns}))
    assert [job and job.id for job in (claim(other), claim(other))] == [
        claimed.id,
        claimed.id + 1,
    ]


def test_job_waits_no_longer_when_the_databases_clock_was_set_back() -> None:
    with postgres_database() as url, postgres_store(url) as store:
        due = datetime.now(UTC) + timedelta(hours=1, minutes=1)
        store.add_job("train_tune", store.insert("tune", 1, {}), due)
        with store._database.write() as session:  # type: ignore[attr-defined]
            session.run(update(JOBS).values(made=JOBS.c.made + HOUR_MICROS))
        with postgres_store(url) as again:
            [job] = again.jobs()
            assert timedelta(0) < due - job.due <= timedelta(hours=1)
            assert timedelta(minutes=59) < due - job.due + timedelta(seconds=PATIENCE_SECONDS)


@pytest.mark.usefixtures("_open_to_all")
def test_lease_that_is_renewed_does_not_run_out(one: Store, other: Store) -> None:
    row = one.insert("tune", 1, {})
    for _ in range(2):
        one.add_job("train_tune", row, NOW)
    claim(one)
    lapse(one)
    one.renew_claims()
    waiting = claim(other)
    assert waiting is not None
    assert waiting.attempt == 1
    assert claim(other) is None


@pytest.mark.usefixtures("_open_to_all")
def test_job_whose_lease_was_renewed_in_the_meantime_is_not_taken_over(
    one: Store, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.add_job("train_tune", one.insert("tune", 1, {}), NOW)
    claim(one)
    lapse(one)
    first = other._first

    def look(*args: Any) -> Job | None:
        found: Job | None = first(*args)
        one.renew_claims()
        return found

    monkeypatch.setattr(other, "_first", look)
    assert claim(other) is None


@pytest.mark.usefixtures("_open_to_all")
def test_job_that_could_not_be_ended_is_taken_over(one: Store, other: Store) -> None:
    one.add_job("train_tune", one.insert("tune", 1, {}), NOW)
    job = claim(one)
    assert job
    one.release_job(job)
    lapse(one)
    one._released.clear()  # type: ignore[attr-defined] # as when it cannot be written either
    one.renew_claims()
    assert claim(other) is not None


def test_store_goes_on_after_the_server_was_lost(one: Store, other: Store) -> None:
    row = one.insert("tune", 1, {})
    session: Any = other
    with session._database.write() as connection:
        connection.rows(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    for store in (one, other):
        failed = 0
        for _ in range(4):
            try:
                assert store.get("tune", row.id) is not None
                store.update(row, {"title": "a"})
            except Unavailable:
                failed += 1
        assert failed <= 1  # with whichever connection it was found out
