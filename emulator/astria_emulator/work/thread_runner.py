"""The runner for the system clock: work happens on threads as time passes."""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from astria_emulator.clock import Clock
from astria_emulator.errors import log_failure
from astria_emulator.storage.store import EXPIRY, LANES_TO_FINISH, WORK, Job, Key, Row, Run, Store
from astria_emulator.work.answer_holds import AllBut, Holds
from astria_emulator.work.backend_slots import Slots

log = logging.getLogger(__name__)

WORKERS = 4
# A released job begins this much later: `close()` of an answer may come just before its last bytes.
GRACE_SECONDS = 0.01
FINISH_SECONDS = 60.0
REAL_FINISH_SECONDS = 100.0  # real work takes longer, but the client's request must not time out
POLL_SECONDS = 0.005
BATCH_SECONDS = 0.003  # jobs due within this time are run together, by one thread if it can
IDLE_SECONDS = 1.0  # nothing announces the end of a hold, so the runner looks this often
SHARED_IDLE_SECONDS = 0.2  # nor does anything announce a job of another process


class ThreadRunner:
    """Runs jobs on a few threads as real time passes.

    A job that a request schedules waits until the answer has been sent. One thread waits until the
    next job is due; it is woken only for an earlier one. One more thread works, or several to catch
    up. `_changed` guards the three fields below it; the store is never called under it.

    slots: how many jobs the backend does at a time, if it does real work. `interrupt`: stops them.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        run: Run,
        *,
        slots: int = 0,
        interrupt: Callable[[], None] = lambda: None,
    ):
        self._store, self._clock, self._run = store, clock, run
        self._holds = Holds()
        self._changed = threading.Condition()
        self._next = 0.0  # monotonic time of the next look
        self._running = 0
        self._stopping = False
        self._idle = SHARED_IDLE_SECONDS if store.is_shared else IDLE_SECONDS
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="work")
        self._thread = threading.Thread(target=self._loop, name="runner", daemon=True)
        self._finished = (WORK,) if slots else LANES_TO_FINISH
        self._timed = (*self._finished, EXPIRY)
        self._slots = Slots(
            store, clock, lambda job: run(job, clock.now()),
            count=slots, skip=self._holds, interrupt=interrupt, idle=self._idle,
        )  # fmt: skip

    def start(self) -> None:
        self._thread.start()
        self._slots.start()

    def stop(self) -> None:
        """Wait for running jobs, and interrupt those on slots; waiting jobs stay in the store."""
        self._stopping = True
        self._slots.stop()
        self._look_at(0.0)
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True)

    def notice(self, job: Job) -> None:
        if job.lane not in self._timed:
            self._slots.wake()
        elif not self._holds.add(job):
            seconds = (job.due - self._clock.now()).total_seconds()
            self._look_at(time.monotonic() + seconds)

    def expect(self, row: Row) -> None:
        self._holds.expect(row)

    def begin_answer(self) -> None:
        self._holds.begin()

    def end_answer(self) -> Callable[[], None]:
        """Return the function that releases the request's jobs, to call once the answer is sent."""
        held = self._holds.end()

        def release() -> None:
            self._holds.release(held, grace=GRACE_SECONDS)
            if held:
                self._look_at(time.monotonic() + GRACE_SECONDS)

        return release

    def complete_early(self) -> Collection[Key]:
        own = self._holds.own()
        while job := self._store.claim_job(self._finished, None, skip=AllBut(own)):
            with self._holds.apart():
                self._run(job, self._clock.now())
        return own

    def settle(self) -> int:
        """Do nothing: the threads run what is due."""
        return 0

    def finish(self) -> int:
        """Complete all work now, whenever it is due; return the number of jobs done here."""
        done = 0
        deadline = time.monotonic() + (REAL_FINISH_SECONDS if self._slots.count else FINISH_SECONDS)
        while (seconds_left := deadline - time.monotonic()) > 0:
            if job := self._store.claim_job(self._finished, None, skip=self._holds):
                with self._holds.apart():
                    self._run(job, self._clock.now())
                done += 1
            elif any(self._store.has_jobs(lane) for lane in LANES_TO_FINISH):
                # Held, or run by another thread, which may be within `finish` itself.
                time.sleep(max(0.0, min(self._holds.lapse(), seconds_left, POLL_SECONDS)))
            else:
                break
        return done

    def _loop(self) -> None:
        while not self._stopping:
            with self._changed:
                self._next = math.inf
            try:
                wait = self._look()
            except Exception as error:  # a database that cannot be reached may come back
                log_failure(log, "looking for work", error)
                wait = IDLE_SECONDS
            with self._changed:
                self._next = min(self._next, time.monotonic() + wait)
                while (seconds := self._next - time.monotonic()) > 0:
                    self._changed.wait(seconds)

    def _look(self) -> float:
        """Start a thread if anything is due; return the seconds until the next look."""
        if self._running >= WORKERS:
            return self._idle  # a thread that finds no more work asks for a look
        if job := self._claim():
            with self._changed:
                self._running += 1
            self._pool.submit(self._work, job)
            return BATCH_SECONDS  # by then the thread has usually done the others as well
        due = self._store.next_due(self._timed, skip=self._holds)
        wait = (due - self._clock.now()).total_seconds() if due else self._idle
        return max(BATCH_SECONDS, min(wait, self._holds.lapse(), self._idle))

    def _claim(self) -> Job | None:
        return self._store.claim_job(self._timed, self._clock.now(), skip=self._holds)

    def _work(self, job: Job | None) -> None:
        """Do a job, then all others that are due."""
        while job:
            try:
                self._run(job, self._clock.now())
            except Exception:
                log.exception("%s of %s %d", job.kind, job.table, job.target)
            try:
                job = None if self._stopping else self._claim()
            except Exception as error:
                log_failure(log, "looking for work", error)
                job = None
        with self._changed:
            self._running -= 1
        self._look_at(0.0)

    def _look_at(self, moment: float) -> None:
        """Make the runner look at a monotonic time, or earlier."""
        with self._changed:
            if moment < self._next:
                self._next = moment
                self._changed.notify()
