"""Which jobs wait until the request that made them has been answered."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.store import Job

# An answer that is never closed, as a test client leaves it, holds its jobs no longer than this.
HOLD_SECONDS = 2.0


class Holds:
    """Job ids, each until a time. Nothing is called under the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[int, float] = {}  # job id -> monotonic time at which it is let go anyway
        self._answering = threading.local()

    def begin(self) -> None:
        self._answering.jobs = []

    def add(self, job: Job) -> bool:
        """Hold a job that this thread's request has made; False where there is no request."""
        jobs: list[int] | None = getattr(self._answering, "jobs", None)
        if jobs is None:
            return False
        jobs.append(job.id)
        with self._lock:
            self._until[job.id] = time.monotonic() + HOLD_SECONDS
        return True

    def end(self) -> list[int]:
        """The jobs that the request has made."""
        jobs: list[int] = self._answering.jobs
        self._answering.jobs = None
        return jobs

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within it this thread does work, and answers no request."""
        jobs = getattr(self._answering, "jobs", None)
        self._answering.jobs = None
        try:
            yield
        finally:
            self._answering.jobs = jobs

    def release(self, jobs: list[int], *, grace: float) -> None:
        """Let jobs go after so many seconds."""
        with self._lock:
            until = time.monotonic() + grace
            self._until |= dict.fromkeys((job for job in jobs if job in self._until), until)

    def __contains__(self, job_id: object) -> bool:
        """Whether a job is held now; for the store to ask while it chooses one."""
        return isinstance(job_id, int) and self._until.get(job_id, 0.0) > time.monotonic()

    def lapse(self) -> float:
        """Seconds until the next hold is over; infinite when there is none."""
        with self._lock:
            now = time.monotonic()
            self._until = {job: until for job, until in self._until.items() if until > now}
            return min(self._until.values(), default=math.inf) - now
