"""Snapshots share what did not change: each costs what has."""

import gc
import weakref
from datetime import UTC, datetime
from pathlib import Path

from astria_emulator.storage.files import Files
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.memory_files import MemoryFiles
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.snapshots import Snapshot, Snapshots
from astria_emulator.storage.state import State, take
from astria_emulator.storage.store import Store
from tests.databases import sqlite_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def keep(snapshots: Snapshots, name: str, store: Store, files: Files) -> State:
    with store.transaction():
        state = take(store, files, seed=0, now=None)
    snapshots.keep(Snapshot(name, NOW, state))
    return snapshots.get(name).state


def test_what_did_not_change_is_the_same_object_in_every_snapshot(
    store: Store, tmp_path: Path
) -> None:
    in_memory = isinstance(store, MemoryStore)
    files: Files = MemoryFiles(store, 0) if in_memory else FolderFiles(store, 0, tmp_path / "files")
    rows = [store.insert("tune", 1, {"title": "a", "steps": 1}, refs=("a", at)) for at in range(3)]
    files.put("drawn", "image/jpeg", {"scene": {"seed": 1}})
    written = files.put("uploaded", "image/jpeg", b"x")
    snapshots = Snapshots()
    first = keep(snapshots, "first", store, files)
    store.update(rows[1], {"steps": True})  # which equals 1, and is not the same
    store.insert("tune", 1, {"title": "b"})
    added = files.put("drawn", "image/jpeg", {"scene": {"seed": 2}})
    for name in ("second", "second"):  # the other takes the place of one
        state = keep(snapshots, name, store, files)
        assert [row is old for row, old in zip(state.rows, first.rows, strict=False)] == [
            True,
            False,
            True,
        ]
        assert [row.get("steps") for row in state.rows] == [1, True, 1, None]
        assert state.rows[1]["steps"] is True
        known = {file.key: file for file in first.files.files}
        shared = {file.key for file in state.files.files if file is known.get(file.key)}
        on_disk = set() if in_memory else {written}  # it has a link for each snapshot
        assert shared == known.keys() - on_disk
        assert added not in known


def test_database_remembers_only_rows_that_somebody_has() -> None:
    with sqlite_store() as store:
        store.insert("tune", 1, {"title": "a"})
        row = weakref.ref(store.rows()[0])
        gc.collect()
        assert row() is None
