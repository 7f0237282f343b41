"""Work that happens only when asked: for the virtual clock."""

import threading
from collections.abc import Callable, Collection, Container, Iterable

from astria_emulator.clock import VirtualClock
from astria_emulator.storage.store import LANES_BY_TIME, LANES_TO_FINISH, Job, Key, Row, Run, Store
from astria_emulator.work.answer_holds import AllBut, Holds


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

    def complete_early(self) -> Collection[Key]:
        own = self._holds.own()
        self._work(LANES_TO_FINISH, AllBut(own), early=True)
        return own

    def settle(self) -> int:
        """Run what is due; returns the number of jobs."""
        return self._work(LANES_BY_TIME, self._holds)

    def finish(self) -> int:
        """Complete all work, moving the clock as far as the last job's due time.

        Returns the number of jobs.
        """
        with self._lock:
            return self.settle() + self._work(LANES_TO_FINISH, self._holds, early=True)

    def _work(self, lanes: Iterable[str], skip: Container[Job], *, early: bool = False) -> int:
        """Run jobs, each at the time when it was due, whenever it is run; returns their number.

        early: those too that are not due yet, to whose times the clock is moved.
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
