"""When work happens: on threads as time passes, or only when asked."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol

from emulator.clock import Clock, VirtualClock
from emulator.holds import Holds
from emulator.store import EXPIRY, WORK, Job, Row, Store

log = logging.getLogger(__name__)

Run = Callable[[Job, datetime], None]
# What `finish` completes. Expiry is not work: it is due when its time has come.
FINISHED = (WORK,)
TIMED = (WORK, EXPIRY)
WORKERS = 4
# A released job begins this much later: `close()` of an answer may come just before its last bytes.
GRACE_SECONDS = 0.01
FINISH_SECONDS = 60.0
LOOK_SECONDS = 0.02
IDLE_SECONDS = 1.0  # a hold that lapses is not told, so the runner looks this often
SHARED_IDLE_SECONDS = 0.2  # nor is a job that another process has made


class Runner(Protocol):
    """Takes up jobs.

    `begin_answer` and `end_answer` stand around a request in its thread. `notice` tells of a job,
    `expect` of an object whose jobs, whoever makes them, wait for the answer too.
    """

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def notice(self, job: Job) -> None: ...
    def expect(self, row: Row) -> None: ...
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
        self._holds = Holds()

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def notice(self, job: Job) -> None:
        self._holds.add(job)

    def expect(self, row: Row) -> None:
        self._holds.expect(row)

    def begin_answer(self) -> None:
        self.settle()
        self._holds.begin()

    def end_answer(self) -> Callable[[], None]:
        """The next request finds the work of this one due, whether or not its answer is closed."""
        self._clock.tick()
        self._holds.release(self._holds.end(), grace=0)
        return lambda: None

    def settle(self) -> None:
        """Run what is due. A job's time is when it was due, whenever the request comes."""
        self._run_due()

    def _run_due(self) -> int:
        done = 0
        with self._lock:
            while job := self._store.claim_job(TIMED, self._clock.now(), skip=self._holds):
                with self._holds.apart():
                    self._run(job, job.due)
                done += 1
        return done

    def finish(self) -> int:
        """Complete all work, moving the clock as far as the last job's due time.

        Returns the number of jobs.
        """
        with self._lock:
            done = self._run_due()
            while job := self._store.claim_job(FINISHED, None, skip=self._holds):
                self._clock.move_to(job.due)
                with self._holds.apart():
                    self._run(job, job.due)
                done += 1
        return done


class ThreadRunner:
    """Runs jobs on a few threads as real time passes.

    A job made in a request waits until its answer has been sent. `_changed` guards the three
    fields below it only: the store has a lock of its own and is never asked under this one.
    """

    def __init__(self, store: Store, clock: Clock, run: Run):
        self._store, self._clock, self._run = store, clock, run
        self._holds = Holds()
        self._changed = threading.Condition()
        self._changes = 0
        self._running = 0
        self._stopping = False
        self._idle = SHARED_IDLE_SECONDS if store.is_shared else IDLE_SECONDS
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="work")
        self._thread = threading.Thread(target=self._loop, name="runner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let running jobs end; waiting ones stay."""
        self._stopping = True
        self._tell()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True)

    def notice(self, job: Job) -> None:
        if not self._holds.add(job):
            self._tell()

    def expect(self, row: Row) -> None:
        self._holds.expect(row)

    def begin_answer(self) -> None:
        self._holds.begin()

    def end_answer(self) -> Callable[[], None]:
        """Returns what lets the request's jobs go, once its answer has been sent."""
        held = self._holds.end()

        def release() -> None:
            self._holds.release(held, grace=GRACE_SECONDS)
            if held:
                self._tell()

        return release

    def settle(self) -> None:
        """Nothing: the threads see to it."""

    def finish(self) -> int:
        """Complete all work now, whenever it is due; returns the number of jobs done here."""
        done = 0
        deadline = time.monotonic() + FINISH_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            seen = self._changes
            if job := self._store.claim_job(FINISHED, None, skip=self._holds):
                with self._holds.apart():
                    self._run(job, self._clock.now())
                done += 1
            elif self._store.has_jobs(WORK):
                # Held, or run by another thread, which may be one that also finishes work.
                self._wait(seen, min(self._holds.lapse(), left, LOOK_SECONDS))
            else:
                break
        return done

    def _loop(self) -> None:
        while not self._stopping:
            try:
                self._look()
            except Exception:  # a database that cannot be reached may come back
                log.exception("looking for work")
                self._wait(self._changes, IDLE_SECONDS)

    def _look(self) -> None:
        seen = self._changes
        if self._running >= WORKERS:
            self._wait(seen, IDLE_SECONDS)
        elif job := self._store.claim_job(TIMED, self._clock.now(), skip=self._holds):
            self._count(1)
            self._pool.submit(self._work, job)
        else:
            due = self._store.next_due(TIMED, skip=self._holds)
            wait = (due - self._clock.now()).total_seconds() if due else IDLE_SECONDS
            self._wait(seen, min(wait, self._holds.lapse(), self._idle))

    def _work(self, job: Job) -> None:
        try:
            self._run(job, self._clock.now())
        except Exception:
            log.exception("%s of %s %d", job.kind, job.table, job.target)
        finally:
            self._count(-1)

    def _tell(self) -> None:
        """Something has changed that a waiting thread should look at."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _count(self, step: int) -> None:
        with self._changed:
            self._running += step
        self._tell()

    def _wait(self, seen: int, seconds: float) -> None:
        """Wait until something has changed since `seen`, but not longer than some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: seen != self._changes, max(seconds, 0.0))
