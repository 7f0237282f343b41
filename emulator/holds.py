"""Which jobs wait until the request that made them has been answered."""

import math
import threading
import time

from emulator.store import Job

# An answer that is never closed, as a test client leaves it, holds its jobs no longer than this.
HOLD_SECONDS = 2.0


class Holds:
    """Job ids, each until a time. The lock guards nothing else, and nothing is called under it."""

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

    def release(self, jobs: list[int], *, grace: float) -> None:
        """Let jobs go after so many seconds."""
        with self._lock:
            until = time.monotonic() + grace
            self._until |= dict.fromkeys((job for job in jobs if job in self._until), until)

    def held(self) -> tuple[set[int], float]:
        """The jobs that are held, and the seconds until the next of them is let go."""
        with self._lock:
            now = time.monotonic()
            self._until = {job: until for job, until in self._until.items() if until > now}
            return set(self._until), min(self._until.values(), default=math.inf) - now
