"""The runner for the virtual clock: work happens only on request."""

import threading
from collections.abc import Callable, Collection, Container, Iterable

from astria_emulator.clock import VirtualClock
from astria_emulator.storage.store import LANES_BY_TIME, LANES_TO_FINISH, Job, Key, Row, Run, Store
from astria_emulator.work.answer_holds import AllBut, Holds


class ManualRunner:
    """Runs due jobs in the order (due, id) before each answer, in the request's own thread."""

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
        """Move the clock, so that this request's work is due for the next one.

        That does not wait until the answer is closed: the returned function does nothing.
        """
        self._clock.tick()
        self._holds.release(self._holds.end(), grace=0)
        return lambda: None

    def complete_early(self) -> Collection[Key]:
        own = self._holds.own()
        self._work(LANES_TO_FINISH, AllBut(own), early=True)
        return own

    def settle(self) -> int:
        """Run what is due; return the number of jobs."""
        return self._work(LANES_BY_TIME, self._holds)

    def finish(self) -> int:
        """Complete all work, and move the clock to the last job's due time.

        Returns the number of jobs.
        """
        with self._lock:
            return self.settle() + self._work(LANES_TO_FINISH, self._holds, early=True)

    def _work(self, lanes: Iterable[str], skip: Container[Job], *, early: bool = False) -> int:
        """Run jobs, each with its due time as the current time; return their number.

        early: run also those that are not due yet, and move the clock to their times.
        """
        done = 0
        with self._lock:
            while job := self._store.claim_job(
                lanes, None if early else self._clock.now(), skip=skip
            ):
                if early:
                    self._clock.move_to(job.due)
                with self._holds.apart():
                    self._run(job, job.due)
                done += 1
        return done
