"""When work happens: on threads as time passes, or only when asked."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol

from emulator.clock import Clock, VirtualClock
from emulator.store import Job, Store

log = logging.getLogger(__name__)

Run = Callable[[Job, datetime], None]
# Kinds that `finish` completes. Expiry is not work: it is due when its time has come.
WORK = frozenset({"start_tune", "train_tune", "start_prompt", "generate_prompt"})
WORKERS = 4
# A released job begins this much later: `close()` of an answer may come just before its last bytes
# leave.
GRACE_SECONDS = 0.01
FINISH_SECONDS = 60.0


class Runner(Protocol):
    """Takes up jobs. `begin_answer` and `end_answer` stand around a request in its thread."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def notice(self, job: Job) -> None: ...
    def begin_answer(self) -> None: ...
    def end_answer(self) -> Callable[[], None]: ...
    def settle(self) -> None: ...
    def finish(self) -> int: ...


class ManualRunner:
    """Runs due jobs in the order (due, id) before each answer, in the request's own thread.

    For the virtual clock.
    """

    def __init__(self, store: Store, clock: VirtualClock, run: Run):
        self._store, self._clock, self._run = store, clock, run
        self._lock = threading.RLock()

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def notice(self, job: Job) -> None: ...

    def begin_answer(self) -> None:
        self.settle()

    def end_answer(self) -> Callable[[], None]:
        self._clock.tick()
        return lambda: None

    def settle(self) -> None:
        """Run what is due. A job's time is when it was due, whenever the request comes."""
        with self._lock:
            while job := self._store.claim_job(self._clock.now()):
                self._run(job, job.due)

    def finish(self) -> int:
        """Complete all work, moving the clock as far as the last job's due time.

        Returns the number of jobs.
        """
        done = 0
        with self._lock:
            self.settle()
            while job := self._store.claim_job(None, kinds=WORK):
                self._clock.move_to(job.due)
                self._run(job, job.due)
                done += 1
        return done


class ThreadRunner:
    """Runs jobs on a few threads as real time passes.

    A job made in a request waits until its answer has been sent.
    """

    def __init__(self, store: Store, clock: Clock, run: Run):
        self._store, self._clock, self._run = store, clock, run
        self._changed = threading.Condition()
        self._held: set[int] = set()
        self._answering = threading.local()
        self._running = 0
        self._stopping = False
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="work")
        self._thread = threading.Thread(target=self._loop, name="runner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let running jobs end; waiting ones stay."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True)

    def begin_answer(self) -> None:
        self._answering.held = set()

    def notice(self, job: Job) -> None:
        held = getattr(self._answering, "held", None)
        with self._changed:
            if held is not None:
                held.add(job.id)
                self._held.add(job.id)
            else:
                self._changed.notify_all()

    def end_answer(self) -> Callable[[], None]:
        """Returns what lets the request's jobs go, once its answer has been sent."""
        held: set[int] = self._answering.held
        self._answering.held = None
        if not held:
            return lambda: None

        def release() -> None:
            timer = threading.Timer(GRACE_SECONDS, self._release, [held])
            timer.daemon = True
            timer.start()

        return release

    def _release(self, held: set[int]) -> None:
        with self._changed:
            self._held -= held
            self._changed.notify_all()

    def settle(self) -> None:
        """Nothing: the threads see to it."""

    def finish(self) -> int:
        """Complete all work now, whenever it is due; returns the number of jobs."""
        done = 0
        while True:
            if job := self._store.claim_job(None, kinds=WORK):
                self._run(job, self._clock.now())
                done += 1
                continue
            with self._changed:
                if not self._running or not self._changed.wait_for(
                    lambda: not self._running, FINISH_SECONDS
                ):
                    return done

    def _loop(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                job = self._store.claim_job(self._clock.now(), skip=self._held)
                if job is None:
                    due = self._store.next_due()
                    wait = (due - self._clock.now()).total_seconds() if due else None
                    # A held job may be overdue: its release notifies, so the bound only guards
                    # against a busy loop.
                    self._changed.wait(None if wait is None else min(max(wait, 0.005), 3600.0))
                    continue
                self._running += 1
            self._pool.submit(self._work, job)

    def _work(self, job: Job) -> None:
        try:
            self._run(job, self._clock.now())
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()
