"""Jobs of receivers that take turns, and what it costs to find the next one."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.sql.tables import JOBS
from astria_emulator.storage.store import CALLBACKS, WORK, Job, Query, Row, Store, Turn
from tests.costs import assert_alike, cost_of
from tests.databases import postgres_database, postgres_store
from tests.storage.store_cases import NOW


def add(store: Store, row: Row, *receivers: str) -> list[Job]:
    return [store.add_job("send_callback", row, NOW, receiver=name) for name in receivers]


def claim(store: Store, after: str | None = None, full: tuple[str, ...] = ()) -> str | None:
    job = store.claim_in_turn(CALLBACKS, Turn(after, full))
    return job.receiver if job else None


# -- turns -----------------------------------------------------------------------------------------
def test_receiver_after_the_last_one_is_next_and_the_first_one_after_all(
    store: Store, row: Row
) -> None:
    jobs = add(store, row, "c:1", "", "a:1", "c:1", "a:1", "b:1")
    turns = [(None, ""), ("", "a:1"), ("a:1", "b:1"), ("b:1", "c:1"), ("b:2", "c:1")]
    for after, receiver in turns:
        job = store.next_in_turn(CALLBACKS, Turn(after))
        assert job
        assert job.receiver == receiver
    assert store.next_in_turn(CALLBACKS, Turn("c:1")) == jobs[1]
    assert store.next_in_turn(CALLBACKS, Turn("z:1")) == jobs[1]


def test_first_job_of_a_receiver_is_claimed_first_and_once(store: Store, row: Row) -> None:
    first, second = add(store, row, "a:1", "a:1")
    claimed = [store.claim_in_turn(CALLBACKS, Turn()) for _ in range(3)]
    assert [job and job.id for job in claimed] == [first.id, second.id, None]
    assert store.jobs() == claimed[:2]
    assert first.claimed() == store.jobs()[0]


def test_receivers_that_are_full_are_passed_over(store: Store, row: Row) -> None:
    add(store, row, "a:1", "b:1", "c:1", "d:1")
    assert claim(store, "a:1", ("b:1", "c:1")) == "d:1"
    assert claim(store, "c:1", ("c:1", "a:1")) == "b:1"
    assert claim(store, "a:1", ("a:1", "c:1")) is None
    assert claim(store, None, ("a:1", "c:1")) is None
    assert claim(store, "x:1", ("a:1",)) == "c:1"
    assert claim(store, "x:1", ("nobody:1",)) == "a:1"
    assert claim(store) is None


def test_job_that_is_let_go_has_its_turn_again(store: Store, row: Row) -> None:
    add(store, row, "a:1", "b:1")
    job = store.claim_in_turn(CALLBACKS, Turn())
    assert job
    store.release_job(job)
    store.renew_claims()
    again = store.claim_in_turn(CALLBACKS, Turn("b:1"))
    assert again
    assert (again.id, again.attempt) == (job.id, 2)


def test_cancelled_jobs_and_other_lanes_have_no_turn(store: Store, row: Row) -> None:
    store.add_job("train_tune", row, NOW)
    other = store.insert("tune", 1, {})
    add(store, other, *["a:1"] * 100)
    add(store, row, "b:1")
    store.cancel_jobs(other)
    assert claim(store, "b:1") == "b:1"
    assert claim(store) is None
    assert claim(store) is None
    assert store.claim_job([WORK], None)


def test_jobs_that_were_cancelled_take_no_memory() -> None:
    store = MemoryStore()
    row, other = (store.insert("tune", 1, {}) for _ in range(2))
    add(store, row, "a:1", "b:1")
    for _ in range(20):
        add(store, other, *["a:1", "c:1"] * 50)
        store.cancel_jobs(other)
    assert store._tables.queues[CALLBACKS]._size < 200
    assert [claim(store), claim(store), claim(store)] == ["a:1", "b:1", None]


def test_jobs_of_receivers_are_also_claimed_by_due_and_id(store: Store, row: Row) -> None:
    added = add(store, row, "c:1", "a:1", "b:1")
    assert store.next_due([CALLBACKS]) == NOW
    claimed = [store.claim_job([CALLBACKS], None) for _ in added]
    assert [job and job.id for job in claimed] == [job.id for job in added]


def test_some_of_the_jobs_are_listed_by_due_and_id(store: Store, row: Row) -> None:
    added = add(store, row, "c:1", "a:1", "b:1")
    assert store.jobs(limit=2) == added[:2]
    assert store.jobs() == added


def test_any_process_may_send_a_call_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_database() as url, postgres_store(url) as one, postgres_store(url) as other:
        add(one, one.insert("tune", 1, {}), "a:1", "b:1", "b:1")
        assert claim(other) == "a:1"
        assert claim(one) == "b:1"
        assert claim(other, "b:1") == "b:1"
        assert claim(other) is None
        store: Any = one
        with store._database.write() as session:  # both were killed
            session.run(update(JOBS).values(lease=0))
        assert [claim(one), claim(one), claim(one), claim(one)] == ["a:1", "b:1", "b:1", None]


# -- what it costs ---------------------------------------------------------------------------------
@pytest.mark.parametrize("full", [(), ("b:1", "d:1")])
def test_next_turn_costs_the_same_among_few_and_many(full: tuple[str, ...], store: Store) -> None:
    def look(count: int) -> Counter[str]:
        store.reset()
        row = store.insert("tune", 1, {})
        with store.transaction():
            add(store, row, *["a:1", "b:1", "c:1", "d:1", "e:1"] * count)

        def claim_some() -> None:
            for after in ("a:1", "c:1", "e:1"):
                assert claim(store, after, full)
                assert store.next_in_turn(CALLBACKS, Turn(after))
                assert store.has_jobs(CALLBACKS)

        return cost_of(store, claim_some)

    look(5)
    assert_alike(look(5), look(2_000))


def test_jobs_that_are_passed_over_are_read_once(store: Store) -> None:
    def look(count: int) -> Counter[str]:
        store.reset()
        row = store.insert("tune", 1, {})
        with store.transaction():
            jobs = {store.add_job("train_tune", row, NOW).id for _ in range(count)}
            last = store.add_job("train_tune", store.insert("tune", 1, {}), NOW)

        class Skipped:
            def __contains__(self, job: object) -> bool:
                return isinstance(job, Job) and job.id in jobs

        def find() -> None:
            job = store.claim_job([WORK], None, skip=Skipped())
            assert job
            assert job.id == last.id

        return cost_of(store, find)

    look(400)
    assert_alike(look(400), look(4_000), times=10)


def test_searching_within_a_transaction_costs_the_same_after_few_and_many_changes(
    store: Store,
) -> None:
    def change(count: int) -> Counter[str]:
        store.reset()

        def insert_and_search() -> None:
            with store.transaction():
                for number in range(count):
                    store.insert("tune", 1, {}, refs=(number,))
                    store.find("tune", Query(1, ref=number))

        return cost_of(store, insert_and_search)

    change(20)
    assert_alike(change(20), change(200), times=10)


@pytest.mark.parametrize("count", [1, 203, 204, 205, 404])
def test_job_is_found_behind_any_number_of_equal_ones(count: int, store: Store, row: Row) -> None:
    with store.transaction():
        jobs = [store.add_job("train_tune", row, NOW) for _ in range(count + 1)]
    assert store.next_due([WORK], skip=jobs) is None
    job = store.claim_job([WORK], None, skip=jobs[:-1])
    assert job
    assert job.id == jobs[-1].id
