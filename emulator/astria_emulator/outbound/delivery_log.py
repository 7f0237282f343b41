"""The log of callbacks: deliveries that wait, and the last ones that have ended."""

import itertools
from collections.abc import Collection, Mapping
from typing import Any

from astria_emulator.domain.rows import CallbackFields, DeliveryResult
from astria_emulator.storage.refs import ENDED
from astria_emulator.storage.store import Query, Row, Store

LOG_SIZE = 1000  # deliveries that have ended, the newest
BEFORE = "before:"
REORDERED = "passed"  # ref of a delivery that the next one overtakes
HELD = 0  # no delivery has this id: a delivery that waits for it waits for `Callbacks.release`


def open_ref(table: str, id: int) -> str:
    """Return the ref of the deliveries about an object that have not ended."""
    return f"open:{table}:{id}"


def before_ref(delivery_id: int) -> str:
    """Return the ref of the deliveries that wait for another one."""
    return f"{BEFORE}{delivery_id}"


def waits(refs: Collection[int | str]) -> bool:
    """Return whether a delivery with these refs waits for another one."""
    return any(str(ref).startswith(BEFORE) for ref in refs)


def has_ended(delivery: Row) -> bool:
    return ENDED in delivery.refs


class DeliveryLog:
    """The rows of deliveries. Of those that have ended, which share a ref, the newest are kept."""

    def __init__(self, store: Store):
        self._store = store
        self._ends = itertools.count()

    def insert(
        self, about: CallbackFields, result: DeliveryResult, refs: tuple[str, ...] = (ENDED,)
    ) -> Row:
        """Insert a delivery; unless other refs are given, it has ended already."""
        delivery = self._store.insert("delivery", None, {**about, **result}, refs=refs)
        if has_ended(delivery):
            self._trim()
        return delivery

    def end(self, delivery: Row, result: Mapping[str, Any]) -> None:
        self._store.update(delivery, result, refs=(ENDED,))
        self._trim()

    def get(self, id: int) -> Row | None:
        return self._store.get("delivery", id)

    def find(self, ref: str, *, limit: int | None = None) -> list[Row]:
        return self._store.find("delivery", Query(None, ref=ref, limit=limit))

    def newest(self) -> list[Row]:
        """Return the last 1,000 deliveries and the last 1,000 that have ended, newest first."""
        last = self._store.find("delivery", Query(None, limit=LOG_SIZE))
        rows = {row.id: row for row in [*self.find(ENDED, limit=LOG_SIZE), *last]}
        return sorted(rows.values(), key=lambda row: row.id, reverse=True)

    def _trim(self) -> None:
        """Delete what is too much, some at a time: to find it, the database counts a whole log."""
        if next(self._ends) % max(1, LOG_SIZE // 20) == 0:
            surplus = Query(None, ref=ENDED, offset=LOG_SIZE, limit=LOG_SIZE)
            for old in self._store.find("delivery", surplus):
                self._store.delete(old)
