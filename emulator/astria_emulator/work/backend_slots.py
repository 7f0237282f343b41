"""Threads that do a backend's real work, one job at a time each: prompts before training."""

import logging
import threading
from collections.abc import Callable, Container

from astria_emulator.clock import Clock
from astria_emulator.errors import log_failure
from astria_emulator.storage.store import GENERATION, TRAINING, Job, Store

log = logging.getLogger(__name__)


class Slots:
    """One thread for each job that the backend does at a time; none for one that pretends.

    count: the number of threads. `skip`: jobs that wait. `interrupt`: stops running work, which is
    done again later. `idle`: seconds between two looks for jobs that `wake` does not announce.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        run: Callable[[Job], None],
        *,
        count: int,
        skip: Container[Job],
        interrupt: Callable[[], None],
        idle: float,
    ):
        self._store, self._clock, self._run, self._skip = store, clock, run, skip
        self._interrupt, self._idle, self.count = interrupt, idle, count
        self._woken = threading.Condition()
        self._wakes = 0  # number of calls of `wake`
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"slot-{at}", daemon=True)
            for at in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Interrupt running work, and end the threads."""
        self._stopping = True
        self._interrupt()
        self.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def wake(self) -> None:
        """Look for work: there may be a new job."""
        with self._woken:
            self._wakes += 1
            self._woken.notify_all()

    def _loop(self) -> None:
        while not self._stopping:
            wakes = self._wakes
            try:
                job = self._claim()
                if job:
                    self._run(job)
                    continue
            except Exception as error:  # a database that cannot be reached may come back
                log_failure(log, "looking for work", error)
            with self._woken:
                self._woken.wait_for(lambda: self._wakes != wakes or self._stopping, self._idle)  # noqa: B023

    def _claim(self) -> Job | None:
        now = self._clock.now()
        jobs = (
            self._store.claim_job((lane,), now, skip=self._skip) for lane in (GENERATION, TRAINING)
        )
        return next(filter(None, jobs), None)
