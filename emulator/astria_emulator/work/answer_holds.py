"""Which objects' jobs wait until the request that made them, or the object, has been answered."""

import math
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from astria_emulator.storage.store import Job, Key, Row

# An answer that is never closed, as a test client leaves it, holds its jobs no longer than this.
HOLD_SECONDS = 2.0

Held = list[Key]  # what waits for one answer


class AllBut:
    """The jobs of all objects but some."""

    def __init__(self, keys: Collection[Key]):
        self._keys = keys

    def __contains__(self, job: object) -> bool:
        return isinstance(job, Job) and (job.table, job.target) not in self._keys


class Holds:
    """Objects, each held for one request until a time. Nothing is called under the lock.

    An object of a request that has failed may leave its id to another one's: the newer hold counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Key, tuple[Held, float]] = {}  # and when it is let go anyway, monotonic
        self._answering = threading.local()

    def begin(self) -> None:
        self._stack.append([])

    def add(self, job: Job) -> bool:
        """Hold a job's object if this thread answers a request; whether the job waits."""
        self._hold((job.table, job.target))
        return job in self

    def expect(self, row: Row) -> None:
        """Hold the jobs of an object that this thread's request makes, whoever makes them."""
        self._hold((row.table, row.id))

    def own(self) -> frozenset[Key]:
        """The objects that this thread's request holds."""
        return frozenset(self._current() or ())

    def end(self) -> Held:
        """What this thread's request holds, for `release`."""
        return self._stack.pop() or []

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within it this thread does work, and answers no request."""
        self._stack.append(None)
        try:
            yield
        finally:
            self._stack.pop()

    def release(self, held: Held, *, grace: float) -> None:
        """Let objects go after so many seconds."""
        with self._lock:
            for key in held:
                if self._held.get(key, (None, 0.0))[0] is held:
                    if grace:
                        self._held[key] = held, time.monotonic() + grace
                    else:
                        del self._held[key]

    def __contains__(self, job: object) -> bool:
        """Whether a job waits now; for the store to ask while it chooses one."""
        if not self._held or not isinstance(job, Job):
            return False
        return self._held.get((job.table, job.target), (None, 0.0))[1] > time.monotonic()

    def lapse(self) -> float:
        """Seconds until the next hold is over; infinite when there is none."""
        with self._lock:
            now = time.monotonic()
            self._held = {key: of for key, of in self._held.items() if of[1] > now}
            return min((until for _, until in self._held.values()), default=math.inf) - now

    def _hold(self, key: Key) -> None:
        held = self._current()
        if held is not None:
            with self._lock:
                held.append(key)
                self._held[key] = held, time.monotonic() + HOLD_SECONDS

    def _current(self) -> Held | None:
        return self._stack[-1] if self._stack else None

    @property
    def _stack(self) -> list[Held | None]:
        """What this thread answers: a callback's receiver may ask again in the same thread."""
        if not hasattr(self._answering, "stack"):
            self._answering.stack = []
        found: list[Held | None] = self._answering.stack
        return found
