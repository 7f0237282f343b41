"""Work on threads, as time passes."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from astria_emulator import clock as clock_module
from astria_emulator.clock import SystemClock
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Job, Row
from astria_emulator.work import answer_holds as holds_module
from astria_emulator.work.thread_runner import ThreadRunner
from tests import PATIENCE_SECONDS
from tests.work.recorded_work import START, Work

WORK = {"start_tune", "train_tune", "start_prompt", "generate_prompt", "end_run"}


# -- on threads ------------------------------------------------------------------------------------
@pytest.fixture
def threads(
    store: MemoryStore, work: Work, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ThreadRunner]:
    monkeypatch.setattr(holds_module, "HOLD_SECONDS", PATIENCE_SECONDS)  # no hold lapses by itself
    runner = ThreadRunner(store, SystemClock(), work)
    yield runner
    runner.stop()


@pytest.fixture
def add(threads: ThreadRunner, store: MemoryStore) -> Callable[..., Job]:
    """Adds a job as a request does, due now or in some seconds."""

    def make(kind: str, seconds: float = 0) -> Job:
        row = store.insert("tune", 1, {})
        job = store.add_job(kind, row, SystemClock().now() + timedelta(seconds=seconds))
        threads.notice(job)
        return job

    return make


def elsewhere(act: Callable[[], Any]) -> None:
    """Do it in a thread that answers no request."""
    thread = threading.Thread(target=act)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_thread_runner_runs_jobs_once_they_are_due(
    threads: ThreadRunner, add: Any, work: Work, store: MemoryStore
) -> None:
    add("before")
    threads.start()
    work.wait_for("before")
    later = add("later", 3600)
    due = add("due", 0.02)
    work.wait_for("due")
    assert [job.id for job in store.jobs()] == [later.id]
    assert dict(work.done)["due"] >= due.due


def test_clock_that_is_set_back_delays_no_job(
    threads: ThreadRunner, add: Any, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HourBefore(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(hours=1)

    add("made before", 0.02)
    monkeypatch.setattr(clock_module, "datetime", HourBefore)
    threads.start()
    work.wait_for("made before")


def test_thread_runner_runs_a_job_that_is_due_before_the_one_it_waits_for(
    threads: ThreadRunner, add: Any, work: Work
) -> None:
    add("later", 3600)
    threads.start()
    add("first")
    work.wait_for("first")
    add("second", 0.01)
    work.wait_for("second")


def test_thread_runner_runs_several_jobs_at_a_time(
    threads: ThreadRunner, add: Any, work: Work
) -> None:
    meet = threading.Barrier(3)
    work.acts = dict.fromkeys("abc", lambda job: meet.wait(PATIENCE_SECONDS))
    threads.start()
    for kind in "abc":
        add(kind)
    work.wait_for(*"abc")
    assert not meet.broken


def test_thread_runner_goes_on_when_a_job_raises(
    threads: ThreadRunner, add: Any, work: Work, store: MemoryStore
) -> None:
    def fail(job: Job) -> None:
        store.end_job(job)
        raise ZeroDivisionError

    work.acts["bad"] = fail
    threads.start()
    for _ in range(9):
        add("bad")
    add("good")
    work.wait_for("good")
    assert threads.finish() == 0


def test_thread_runner_holds_a_requests_jobs_until_its_answer_has_been_sent(
    threads: ThreadRunner, add: Any, work: Work, store: MemoryStore
) -> None:
    threads.begin_answer()
    held = [add("held"), add("held too")]
    threads.start()
    elsewhere(lambda: add("other"))
    work.wait_for("other")  # it is due after those that are held, so they were passed over
    assert [job.state for job in store.jobs()] == ["waiting", "waiting"]
    release = threads.end_answer()
    elsewhere(lambda: add("another"))
    work.wait_for("another")
    assert [job.id for job in store.jobs()] == [job.id for job in held]
    release()
    work.wait_for("held", "held too")


def test_thread_runner_holds_only_the_jobs_of_the_request_itself(
    threads: ThreadRunner, add: Any, work: Work
) -> None:
    threads.start()
    threads.begin_answer()
    elsewhere(lambda: add("other"))
    work.wait_for("other")
    threads.end_answer()()
    add("after")
    work.wait_for("after")


def test_thread_runner_holds_a_job_that_is_made_while_the_loop_looks(
    store: MemoryStore, row: Row, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = ThreadRunner(store, SystemClock(), work)
    claim = store.claim_job
    made: list[Job] = []
    looked = threading.Event()

    def answer() -> None:
        runner.begin_answer()
        with store.transaction():
            made.append(store.add_job("held", row, START))
            runner.notice(made[0])

    def claim_job(*args: Any, **kwargs: Any) -> Job | None:
        if not made:
            elsewhere(answer)
        found = claim(*args, **kwargs)
        looked.set()
        return found

    monkeypatch.setattr(store, "claim_job", claim_job)
    runner.start()
    assert looked.wait(PATIENCE_SECONDS)
    state = [job.state for job in store.jobs()]
    runner.stop()
    assert state == ["waiting"]


def test_thread_runner_finishes_all_work_whenever_it_is_due(
    threads: ThreadRunner, add: Any, work: Work, store: MemoryStore
) -> None:
    work.acts["start_tune"] = lambda job: add("train_tune", 3600)
    for kind in sorted(WORK - {"train_tune"}):
        add(kind, 3600)
    expiry = add("expire_tune", 3600)
    assert threads.finish() == len(WORK)
    assert set(work.kinds) == WORK
    assert store.jobs() == [expiry]


def test_thread_runner_finishes_work_at_once_when_a_request_asks_for_it(
    threads: ThreadRunner, add: Any, work: Work
) -> None:
    work.acts["start_tune"] = lambda job: add("train_tune", 3600)
    add("start_tune", 3600)
    threads.begin_answer()
    threads.finish()  # what it makes itself is not held until the answer
    threads.end_answer()()
    assert work.kinds == ["start_tune", "train_tune"]


def test_thread_runner_finishes_only_when_jobs_that_run_have_ended(
    threads: ThreadRunner,
    store: MemoryStore,
    add: Any,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, go = threading.Event(), threading.Event()
    claim = store.claim_job

    def train(job: Job) -> None:
        started.set()
        assert go.wait(PATIENCE_SECONDS)
        add("start_prompt", 3600)

    def claim_job(*args: Any, **kwargs: Any) -> Job | None:
        found = claim(*args, **kwargs)
        if threading.current_thread() is finishing:
            go.set()  # it has found nothing to do, and the job still runs
        return found

    work.acts["train_tune"] = train
    threads.start()
    add("train_tune")
    assert started.wait(PATIENCE_SECONDS)
    finishing = threading.Thread(target=threads.finish)
    monkeypatch.setattr(store, "claim_job", claim_job)
    finishing.start()
    finishing.join(PATIENCE_SECONDS)
    assert work.kinds == ["train_tune", "start_prompt"]


def test_thread_runner_lets_running_jobs_end_when_it_stops(
    store: MemoryStore, row: Row, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = ThreadRunner(store, SystemClock(), work)
    started, stopping = threading.Event(), threading.Event()
    shutdown = runner._pool.shutdown

    def train(job: Job) -> None:
        started.set()
        assert stopping.wait(PATIENCE_SECONDS)

    def begin_shutdown(**kwargs: Any) -> None:
        stopping.set()
        shutdown(**kwargs)

    work.acts["train_tune"] = train
    store.add_job("train_tune", row, SystemClock().now())
    waiting = store.add_job("later", row, SystemClock().now() + timedelta(hours=1))
    runner.start()
    assert started.wait(PATIENCE_SECONDS)
    monkeypatch.setattr(runner._pool, "shutdown", begin_shutdown)
    runner.stop()
    done = [*work.kinds]
    stopping.set()
    assert (done, store.jobs()) == (["train_tune"], [waiting])


def test_thread_runner_stops_when_it_has_not_started(threads: ThreadRunner) -> None:
    threads.stop()
    threads.stop()


def test_answer_without_jobs_releases_nothing(threads: ThreadRunner) -> None:
    before = threading.active_count()
    threads.begin_answer()
    assert threads.end_answer()() is None
    assert threading.active_count() == before
