"""Jobs wait for the answer to the request that created them or their object."""

import math
import threading
from datetime import UTC, datetime

import pytest

from astria_emulator.clock import SystemClock
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Job, Row
from astria_emulator.work import answer_holds as holds_module
from astria_emulator.work import thread_runner as runner_module
from astria_emulator.work.answer_holds import Holds
from astria_emulator.work.thread_runner import ThreadRunner

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def row(store: MemoryStore) -> Row:
    return store.insert("prompt", 1, {})


@pytest.fixture
def job(store: MemoryStore, row: Row) -> Job:
    return store.add_job("start_prompt", row, NOW)


def test_job_of_a_request_is_held_until_it_is_released(job: Job) -> None:
    holds = Holds()
    holds.begin()
    assert holds.add(job)
    held = holds.end()
    assert job in holds
    holds.release(held, grace=0)
    assert job not in holds


def test_job_without_a_request_is_not_held(job: Job) -> None:
    assert not Holds().add(job)


def test_released_job_is_held_for_the_grace(job: Job) -> None:
    holds = Holds()
    holds.begin()
    holds.add(job)
    holds.release(holds.end(), grace=60)
    assert job in holds


def test_job_of_an_object_is_held_whoever_makes_it(row: Row, job: Job) -> None:
    holds = Holds()
    holds.begin()
    holds.expect(row)
    made = []
    worker = threading.Thread(target=lambda: made.append(holds.add(job)))
    worker.start()
    worker.join()
    assert made == [True]
    assert job in holds
    holds.release(holds.end(), grace=0)
    assert job not in holds


def test_job_that_another_process_adds_is_held_with_its_object(row: Row, job: Job) -> None:
    holds = Holds()
    holds.begin()
    holds.expect(row)
    assert job in holds
    holds.release(holds.end(), grace=0)
    assert job not in holds


def test_request_that_failed_does_not_let_go_what_has_its_id_now(row: Row, job: Job) -> None:
    holds = Holds()
    holds.begin()
    holds.expect(row)
    failed = holds.end()
    holds.begin()
    holds.expect(row)  # ids of a transaction that is taken back are used again
    holds.release(failed, grace=0)
    assert job in holds


def test_object_is_expected_no_longer_once_it_is_answered(row: Row, job: Job) -> None:
    holds = Holds()
    holds.begin()
    holds.expect(row)
    holds.release(holds.end(), grace=0)
    assert not holds.add(job)


def test_hold_that_is_never_released_lapses_and_is_forgotten(job: Job, monkeypatch) -> None:
    monkeypatch.setattr(holds_module, "HOLD_SECONDS", 0.0)
    holds = Holds()
    holds.begin()
    holds.add(job)
    assert job not in holds
    assert holds.lapse() == math.inf
    assert holds._held == {}


def test_object_that_is_never_answered_holds_nothing_in_the_end(row, job, monkeypatch) -> None:
    monkeypatch.setattr(holds_module, "HOLD_SECONDS", 0.0)
    holds = Holds()
    holds.begin()
    holds.expect(row)
    holds.end()
    assert not holds.add(job)
    holds.lapse()
    assert holds._held == {}


def test_nothing_is_kept_of_what_was_released_at_once(row: Row, job: Job) -> None:
    holds = Holds()
    holds.begin()
    holds.expect(row)
    holds.add(job)
    holds.release(holds.end(), grace=0)
    assert holds._held == {}


def test_thread_runner_gives_a_released_job_its_grace(store, row, monkeypatch) -> None:
    monkeypatch.setattr(runner_module, "GRACE_SECONDS", 60.0)
    runner = ThreadRunner(store, SystemClock(), lambda job, now: None)
    runner.begin_answer()
    made = store.add_job("start_prompt", row, NOW)
    runner.notice(made)
    runner.end_answer()()
    assert made in runner._holds
