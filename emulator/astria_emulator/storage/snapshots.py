"""Named states, kept in this process until it ends."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from astria_emulator.errors import Conflict, Invalid, NotFound
from astria_emulator.storage.state import State

MOST_ROWS = 500_000  # of all snapshots; a database gives each its own copy
MOST = 100  # each keeps the disk space of files that were deleted after it
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
    """States by name, in the order in which they were taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}

    def keep(self, snapshot: Snapshot) -> None:
        """Store a snapshot in place of one of the same name.

        Raises Conflict when there are too many.
        """
        with self._lock:
            if len(self._snapshots.keys() - {snapshot.name}) >= MOST:
                raise Conflict(f"there are {MOST} snapshots, and no more may be; delete one")
            others = [kept for name, kept in self._snapshots.items() if name != snapshot.name]
            if sum(len(kept.state.rows) for kept in [*others, snapshot]) > MOST_ROWS:
                raise Conflict(f"snapshots have {MOST_ROWS} rows together at most; delete one")
            if self._snapshots:
                newest = next(reversed(self._snapshots.values()))
                snapshot = replace(snapshot, state=snapshot.state.sharing(newest.state))
            self._snapshots.pop(snapshot.name, None)
            self._snapshots[snapshot.name] = snapshot

    def get(self, name: str) -> Snapshot:
        """Return a snapshot.

        Raises NotFound.
        """
        with self._lock:
            if name not in self._snapshots:
                raise NotFound(f"there is no snapshot {name[:64]!r}")
            return self._snapshots[name]

    def remove(self, name: str) -> None:
        """Delete a snapshot.

        Raises NotFound.
        """
        with self._lock:
            if self._snapshots.pop(name, None) is None:
                raise NotFound(f"there is no snapshot {name[:64]!r}")

    def all(self) -> list[Snapshot]:
        """Return all snapshots, oldest first."""
        with self._lock:
            return list(self._snapshots.values())


def check_name(name: str) -> None:
    """Raises Invalid when a name is not allowed."""
    if not NAME.fullmatch(name):
        raise Invalid({"name": ["is not 1 to 64 letters, digits, dots, dashes and underscores"]})
