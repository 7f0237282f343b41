"""When jobs run: on threads as time passes, or in the request's own thread."""

from datetime import datetime, timedelta

import pytest

from astria_emulator.clock import TICK, VirtualClock
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Row
from astria_emulator.work.manual_runner import ManualRunner
from tests.work.recorded_work import START, Work


# -- on the virtual clock --------------------------------------------------------------------------
@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def manual(store: MemoryStore, clock: VirtualClock, work: Work) -> ManualRunner:
    return ManualRunner(store, clock, work)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_manual_runner_runs_what_is_due_in_order_and_at_its_time(
    manual: ManualRunner, store: MemoryStore, row: Row, clock: VirtualClock, work: Work
) -> None:
    for kind, due in (("c", 2), ("a", 1), ("d", 2), ("e", 4)):
        store.add_job(kind, row, at(due))
    manual.settle()
    assert work.done == []
    clock.advance(timedelta(seconds=3))
    manual.begin_answer()
    assert work.done == [("a", at(1)), ("c", at(2)), ("d", at(2))]
    assert clock.now() == at(3)


def test_manual_runner_runs_jobs_that_jobs_make_when_they_are_due_too(
    manual: ManualRunner, store: MemoryStore, row: Row, clock: VirtualClock, work: Work
) -> None:
    work.acts["a"] = lambda job: (
        store.add_job("b", row, job.due + TICK),
        store.add_job("d", row, job.due + 9 * TICK),
    )
    store.add_job("a", row, at(1))
    store.add_job("c", row, at(3))
    clock.advance(5 * TICK)
    manual.settle()
    assert work.done == [("a", at(1)), ("b", at(2)), ("c", at(3))]


def test_manual_runner_moves_the_clock_one_tick_with_each_answer(
    manual: ManualRunner, clock: VirtualClock
) -> None:
    manual.begin_answer()
    assert clock.now() == START
    assert manual.end_answer()() is None
    assert clock.now() == START + TICK


def test_manual_runner_finishes_all_work_and_moves_the_clock_to_the_last_due_time(
    manual: ManualRunner, store: MemoryStore, row: Row, clock: VirtualClock, work: Work
) -> None:
    work.acts["start_tune"] = lambda job: store.add_job("train_tune", row, job.due + 5 * TICK)
    store.add_job("start_tune", row, at(1))
    store.add_job("start_prompt", row, at(3))
    store.add_job("expire_tune", row, at(2))
    assert manual.finish() == 3
    assert work.done == [("start_tune", at(1)), ("start_prompt", at(3)), ("train_tune", at(6))]
    assert clock.now() == at(6)
    manual.settle()
    assert work.done[3:] == [("expire_tune", at(2))]


def test_manual_runner_does_not_turn_the_clock_back_when_it_finishes(
    manual: ManualRunner, store: MemoryStore, row: Row, clock: VirtualClock
) -> None:
    store.add_job("start_tune", row, at(1))
    clock.advance(9 * TICK)
    manual.finish()
    assert clock.now() == at(9)


def test_manual_runner_counts_every_job_that_it_finishes(
    manual: ManualRunner, store: MemoryStore, row: Row, clock: VirtualClock
) -> None:
    store.add_job("start_tune", row, START)
    store.add_job("train_tune", row, at(1))
    assert manual.finish() == 2
