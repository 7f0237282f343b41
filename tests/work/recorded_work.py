"""Work that tests record."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Job
from tests import PATIENCE_SECONDS

START = datetime(2026, 1, 1, tzinfo=UTC)


class Work:
    """What jobs do: note themselves, then what a test has set for their kind, then end."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._lock = threading.Condition()
        self.done: list[tuple[str, datetime]] = []
        self.acts: dict[str, Callable[[Job], object]] = {}

    def __call__(self, job: Job, now: datetime) -> None:
        self.acts.get(job.kind, lambda job: None)(job)
        self._store.end_job(job)
        with self._lock:
            self.done.append((job.kind, now))
            self._lock.notify_all()

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.done]

    def wait_for(self, *kinds: str) -> None:
        with self._lock:
            assert self._lock.wait_for(lambda: set(kinds) <= set(self.kinds), PATIENCE_SECONDS), (
                self.kinds
            )
