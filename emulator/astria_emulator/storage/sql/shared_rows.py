"""Rows that are read again and again, as for snapshots, and that stay in memory once."""

from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary

from astria_emulator.storage.sql.records import read_row
from astria_emulator.storage.store import Row


class SharedRows:
    """Reads records; a row that somebody still has is the same object when it is read again."""

    def __init__(self) -> None:
        self._rows: WeakValueDictionary[bytes, Row] = WeakValueDictionary()

    def read(self, record: tuple[Any, ...]) -> Row:
        digest = blake2b(repr(record).encode(), digest_size=16).digest()
        row = self._rows.get(digest)
        if row is None:
            row = self._rows[digest] = read_row(*record)
        return row
