"""Named states, kept in this process until it ends."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from astria_emulator.errors import Conflict, Invalid, NotFound
from astria_emulator.storage.state import State

MOST = 100  # a file that has been deleted since stays for as long as a snapshot has it
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Snapshot:
    name: str
    taken_at: datetime
    state: State

    @property
    def shown(self) -> Mapping[str, Any]:
        return {"name": self.name, "taken_at": self.taken_at, **self.state.counts}


class Snapshots:
    """States by name. One that is taken again under its name is the newest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Snapshot] = {}

    def keep(self, snapshot: Snapshot) -> None:
        """Raises Conflict when there are too many."""
        with self._lock:
            if len(self._kept.keys() - {snapshot.name}) >= MOST:
                raise Conflict(f"there are {MOST} snapshots, and no more may be; delete one")
            self._kept.pop(snapshot.name, None)
            self._kept[snapshot.name] = snapshot

    def get(self, name: str) -> Snapshot:
        """Raises NotFound."""
        with self._lock:
            if name not in self._kept:
                raise NotFound(f"there is no snapshot {name[:64]!r}")
            return self._kept[name]

    def remove(self, name: str) -> None:
        """Raises NotFound."""
        with self._lock:
            if self._kept.pop(name, None) is None:
                raise NotFound(f"there is no snapshot {name[:64]!r}")

    def all(self) -> list[Snapshot]:
        """In the order in which they were taken."""
        with self._lock:
            return list(self._kept.values())


def check_name(name: str) -> None:
    """Raises Invalid."""
    if not NAME.fullmatch(name):
        raise Invalid({"name": ["is not 1 to 64 letters, digits, dots, dashes and underscores"]})
