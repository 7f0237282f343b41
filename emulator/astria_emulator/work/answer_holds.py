"""Holds: the jobs of objects that a request creates wait until it has been answered."""

import math
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from astria_emulator.storage.store import Job, Key, Row

# An answer that is never closed, as test clients do, holds its jobs no longer than this.
HOLD_SECONDS = 2.0

Held = list[Key]  # the objects whose jobs wait for one answer


class AllBut:
    """A container of the jobs of all objects except some."""

    def __init__(self, keys: Collection[Key]):
        self._keys = keys

    def __contains__(self, job: object) -> bool:
        return isinstance(job, Job) and (job.table, job.target) not in self._keys


class Holds:
    """The held objects, each for one request and until some time. Calls nothing under its lock.

    After a failed request another one may create an object of the same id: the newer hold counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Key, tuple[Held, float]] = {}  # and the monotonic time when it ends anyway
        self._answering = threading.local()

    def begin(self) -> None:
        """Begin a request in this thread."""
        self._stack.append([])

    def add(self, job: Job) -> bool:
        """Hold a job's object if this thread answers a request; return whether the job waits."""
        self._hold((job.table, job.target))
        return job in self

    def expect(self, row: Row) -> None:
        """Hold all jobs of an object that this thread's request creates, also later ones."""
        self._hold((row.table, row.id))

    def own(self) -> frozenset[Key]:
        """Return the objects that this thread's request holds."""
        return frozenset(self._current() or ())

    def end(self) -> Held:
        """End this thread's request; return its held objects, for `release`."""
        return self._stack.pop() or []

    @contextmanager
    def apart(self) -> Iterator[None]:
        """While this is open, this thread does work and holds nothing for a request."""
        self._stack.append(None)
        try:
            yield
        finally:
            self._stack.pop()

    def release(self, held: Held, *, grace: float) -> None:
        """Release objects after `grace` seconds."""
        with self._lock:
            for key in held:
                if self._held.get(key, (None, 0.0))[0] is held:
                    if grace:
                        self._held[key] = held, time.monotonic() + grace
                    else:
                        del self._held[key]

    def __contains__(self, job: object) -> bool:
        """Return whether a job waits now; the store asks while it chooses one."""
        if not self._held or not isinstance(job, Job):
            return False
        return self._held.get((job.table, job.target), (None, 0.0))[1] > time.monotonic()

    def lapse(self) -> float:
        """Return the seconds until the next hold ends; infinite when there is none."""
        with self._lock:
            now = time.monotonic()
            self._held = {key: hold for key, hold in self._held.items() if hold[1] > now}
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
        """The requests of this thread: a callback's receiver may send one in the same thread."""
        if not hasattr(self._answering, "stack"):
            self._answering.stack = []
        stack: list[Held | None] = self._answering.stack
        return stack
