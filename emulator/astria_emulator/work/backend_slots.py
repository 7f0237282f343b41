"""Threads that wait for a backend's real work, one job each: prompts before training."""

import logging
import threading
from collections.abc import Callable, Container

from astria_emulator.clock import Clock
from astria_emulator.storage.store import GENERATION, TRAINING, Job, Store

log = logging.getLogger(__name__)


class Slots:
    """As many threads as the backend does jobs at a time; none for one that pretends.

    interrupt: ends the work under way, to be done again later. `idle` seconds pass between two
    looks where nobody tells of a job.
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
        self._told = threading.Condition()
        self._news = 0  # grows with every job that is told of
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"slot-{at}", daemon=True)
            for at in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._interrupt()
        self.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def wake(self) -> None:
        """There may be work."""
        with self._told:
            self._news += 1
            self._told.notify_all()

    def _loop(self) -> None:
        while not self._stopping:
            seen = self._news
            try:
                job = self._claim()
                if job:
                    self._run(job)
                    continue
            except Exception:  # a database that cannot be reached may come back
                log.exception("looking for work")
            with self._told:
                self._told.wait_for(lambda: self._news != seen or self._stopping, self._idle)  # noqa: B023

    def _claim(self) -> Job | None:
        now = self._clock.now()
        found = (
            self._store.claim_job((lane,), now, skip=self._skip) for lane in (GENERATION, TRAINING)
        )
        return next(filter(None, found), None)
