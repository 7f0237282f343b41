"""Which jobs wait until the request that made them, or their object, has been answered."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.store import Job, Row

# An answer that is never closed, as a test client leaves it, holds its jobs no longer than this.
HOLD_SECONDS = 2.0

Held = list[int]  # ids of the jobs that wait for one answer


class Holds:
    """Job ids, each until a time. Nothing is called under the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[int, float] = {}  # job id -> monotonic time at which it is let go anyway
        # Objects of requests that are not answered: what waits with them, and until when.
        self._objects: dict[tuple[str, int], tuple[Held, float]] = {}
        self._answering = threading.local()

    def begin(self) -> None:
        self._answering.jobs = []

    def add(self, job: Job) -> bool:
        """Hold a job of this thread's request, or of an object that was made by one.

        False where it need not wait.
        """
        with self._lock:
            held = self._current() if self._current() is not None else self._of(job)
            if held is None:
                return False
            held.append(job.id)
            self._until[job.id] = time.monotonic() + HOLD_SECONDS
            return True

    def expect(self, row: Row) -> None:
        """Hold the jobs of an object that this thread's request makes, whoever makes them."""
        held = self._current()
        if held is not None:
            with self._lock:
                self._objects[row.table, row.id] = held, time.monotonic() + HOLD_SECONDS

    def end(self) -> Held:
        """The jobs of this thread's request, for `release`."""
        held: Held = self._answering.jobs
        self._answering.jobs = None
        return held

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within it this thread does work, and answers no request."""
        held = self._current()
        self._answering.jobs = None
        try:
            yield
        finally:
            self._answering.jobs = held

    def release(self, held: Held, *, grace: float) -> None:
        """Let jobs go after so many seconds."""
        with self._lock:
            self._objects = {key: of for key, of in self._objects.items() if of[0] is not held}
            for job_id in held:
                if grace and job_id in self._until:
                    self._until[job_id] = time.monotonic() + grace
                else:
                    self._until.pop(job_id, None)

    def __contains__(self, job_id: object) -> bool:
        """Whether a job is held now; for the store to ask while it chooses one."""
        return isinstance(job_id, int) and self._until.get(job_id, 0.0) > time.monotonic()

    def lapse(self) -> float:
        """Seconds until the next hold is over; infinite when there is none."""
        with self._lock:
            now = time.monotonic()
            self._until = {job: until for job, until in self._until.items() if until > now}
            self._objects = {key: of for key, of in self._objects.items() if of[1] > now}
            return min(self._until.values(), default=math.inf) - now

    def _current(self) -> Held | None:
        return getattr(self._answering, "jobs", None)

    def _of(self, job: Job) -> Held | None:
        held, until = self._objects.get((job.table, job.target), (None, 0.0))
        return held if until > time.monotonic() else None
