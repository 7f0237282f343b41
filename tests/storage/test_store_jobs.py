"""Jobs of a store."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from astria_emulator.storage.store import CALLBACKS, EXPIRY, WORK, Job, Row, Store
from tests.storage.store_cases import LANES, NOW, failing


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


# -- jobs ------------------------------------------------------------------------------------------
def claimed(
    store: Store, now: datetime | None, lanes: Iterable[str] = LANES, **kwargs: Any
) -> list[str]:
    kinds = []
    while job := store.claim_job(lanes, now, **kwargs):
        kinds.append(job.kind)
    return kinds


def test_jobs_are_claimed_in_the_order_of_due_time_and_then_of_id(store: Store, row: Row) -> None:
    for kind, due in (("c", 2), ("a", 1), ("d", 2), ("e", 9), ("b", 1)):
        store.add_job(kind, row, later(due))
    assert [job.kind for job in store.jobs()] == list("abcde")
    assert claimed(store, later(0)) == []
    assert claimed(store, later(2)) == list("abcd")
    assert claimed(store, None) == ["e"]


def test_claimed_job_is_running_with_one_more_attempt(store: Store, row: Row) -> None:
    added = store.add_job("train_tune", row, NOW)
    assert added == Job(added.id, "train_tune", "tune", row.id, row.uid, NOW, home=row.home)
    job = store.claim_job(LANES, later(1))
    assert job == replace(added, state="running", attempt=1)
    assert store.jobs() == [job]


def test_job_that_was_begun_elsewhere_goes_on_from_there(store: Store, row: Row) -> None:
    added = store.add_job("train_tune", row, NOW, attempt=2, progress={"lost": 1})
    assert (added.attempt, added.progress, added.state) == (2, {"lost": 1}, "waiting")
    assert store.jobs() == [added]
    job = store.claim_job(LANES, NOW)
    assert job == replace(added, state="running", attempt=3)
    assert store.end_job(job)


def test_claim_passes_over_jobs_to_skip_and_lanes_that_are_not_asked_for(
    store: Store, row: Row
) -> None:
    kinds = ["a", "b", "expire_tune", "send_callback", "a"]
    jobs = [store.add_job(kind, row, later(at)) for at, kind in enumerate(kinds)]
    assert claimed(store, None, [WORK], skip=[jobs[0]]) == ["b", "a"]
    assert store.next_due(LANES) == later(0)
    assert store.next_due(LANES, skip=[jobs[0]]) == later(2)
    assert store.next_due([CALLBACKS]) == later(3)
    assert [store.has_jobs(lane) for lane in LANES] == [True, True, True]
    assert claimed(store, None, [WORK, CALLBACKS]) == ["a", "send_callback"]
    assert claimed(store, None) == ["expire_tune"]


def test_lane_has_jobs_until_the_last_one_ends(store: Store, row: Row) -> None:
    jobs = [store.add_job(kind, row, NOW) for kind in ("a", "b", "expire_tune")]
    for job in jobs[:2]:
        assert store.has_jobs(WORK)
        store.end_job(job)
    assert [store.has_jobs(lane) for lane in (WORK, EXPIRY)] == [False, True]


def test_claim_stands_until_its_job_ends_or_is_forgotten(store: Store, row: Row) -> None:
    added = [store.add_job("a", row, NOW) for _ in range(3)]
    assert not store.report(added[0], {})
    jobs = [job for _ in added if (job := store.claim_job(LANES, NOW))]
    assert [store.report(job, {}) for job in jobs] == [True, True, True]
    store.end_job(jobs[1])
    assert [store.report(job, {}) for job in jobs] == [True, False, True]
    store.reset()
    assert [store.report(job, {}) for job in jobs] == [False] * 3


def test_job_that_was_claimed_does_not_end_by_what_it_was_before(store: Store, row: Row) -> None:
    waiting = store.add_job("a", row, NOW)
    job = store.claim_job(LANES, NOW)
    assert job
    store.end_job(waiting)
    assert store.report(job, {})


def test_transaction_that_fails_takes_the_end_of_a_job_back(store: Store, row: Row) -> None:
    store.add_job("a", row, NOW)
    job = store.claim_job(LANES, NOW)
    assert job
    with pytest.raises(KeyError):
        failing(store, lambda: store.end_job(job))
    assert store.report(job, {})
    assert store.has_jobs(WORK)
    store.end_job(job)
    assert store.jobs() == []


def test_job_that_is_let_go_waits_again_unless_it_has_ended(store: Store, row: Row) -> None:
    for _ in range(2):
        store.add_job("a", row, NOW)
    ended, kept = (store.claim_job(LANES, NOW) for _ in range(2))
    assert ended
    assert kept
    store.end_job(ended)
    for job in (ended, kept):
        store.release_job(job)
    store.renew_claims()
    assert store.jobs() == [replace(kept, state="waiting")]
    assert store.claim_job(LANES, NOW) == replace(kept, attempt=2)
    store.release_job(kept)  # what another claim of it has begun goes on
    store.renew_claims()
    assert [job.state for job in store.jobs()] == ["running"]


def test_next_due_is_that_of_the_first_waiting_job(store: Store, row: Row) -> None:
    assert store.next_due(LANES) is None
    first, second = (store.add_job("a", row, later(at)) for at in (1, 2))
    assert store.next_due(LANES) == later(1)
    claimed = store.claim_job(LANES, later(1))
    assert claimed == replace(first, state="running", attempt=1)
    assert store.next_due(LANES) == later(2)
    store.end_job(second)
    assert store.next_due(LANES) is None
    assert store.jobs() == [claimed]


def test_ended_job_is_not_claimed_and_ends_only_once(store: Store, row: Row) -> None:
    job = store.add_job("a", row, NOW)
    store.end_job(job)
    store.end_job(job)
    assert store.claim_job(LANES, None) is None


def test_cancelling_drops_waiting_jobs_and_asks_running_ones_to_stop(
    store: Store, row: Row
) -> None:
    other = store.insert("tune", 1, {})
    for _ in range(2):
        store.add_job("a", row, NOW)
    kept = store.add_job("b", other, NOW)
    running = store.claim_job(LANES, NOW)
    assert running
    assert store.report(running, {"steps": 1}) is True
    assert store.jobs()[0].progress == {"steps": 1}
    store.cancel_jobs(row)
    assert [job.id for job in store.jobs()] == [running.id, kept.id]
    assert store.report(running, {"steps": 2}) is False
    store.end_job(running)
    assert store.report(running, {"steps": 3}) is False


def test_reset_forgets_jobs(store: Store, row: Row) -> None:
    store.add_job("a", row, NOW)
    store.reset()
    assert (store.jobs(), store.next_due(LANES), store.claim_job(LANES, None)) == ([], None, None)


def test_reset_that_fails_leaves_jobs_and_claims_as_they_were(store: Store, row: Row) -> None:
    for _ in range(2):
        store.add_job("a", row, NOW)
    running = store.claim_job(LANES, NOW)
    assert running

    def act() -> None:
        store.reset()
        store.add_job("b", store.insert("tune", 1, {}), NOW)

    with pytest.raises(KeyError):
        failing(store, act)
    assert [(job.kind, job.state) for job in store.jobs()] == [("a", "running"), ("a", "waiting")]
    assert store.report(running, {})
    assert claimed(store, NOW) == ["a"]
    assert store.end_job(running)


def test_job_from_before_a_reset_does_not_end_a_new_one(store: Store, row: Row) -> None:
    old = store.add_job("a", row, NOW)
    store.reset()
    new = store.add_job("b", store.insert("tune", 1, {}), NOW)
    store.end_job(old)
    assert store.jobs() == [new]
    assert store.report(old, {}) is False
