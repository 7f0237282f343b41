"""Files on disk: bytes in a folder, and a row of the store for each.

Each time a file is stored, its bytes get a new name, which its row has; they never change. Bytes
are on the disk before their row is committed, and erased after its deletion is. So a process that
is killed in between leaves at most bytes that no row names, which `sweep` erases.
"""

import os
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

from astria_emulator.storage import own_folders
from astria_emulator.storage.file_keys import KEY, Content, key_of
from astria_emulator.storage.files import File, HeldFiles, hold_files, link, raising_unavailable
from astria_emulator.storage.own_folders import erase, is_ours, private_file
from astria_emulator.storage.private import FOLDER_MODE
from astria_emulator.storage.store import Query, Row, Store

SPREAD = 2  # characters of a name that say its folder
TABLE = "file"


class FolderFiles:
    """All files in a folder of ours. Processes that share the store share the folder too.

    Raises SetupError when the folder holds what is not ours.
    """

    def __init__(self, store: Store, seed: int, folder: Path):
        own_folders.claim(folder, "--data", is_ours=_is_of_earlier_version)
        self._store, self.seed, self._folder = store, seed, folder
        self._local = threading.local()  # what this thread's transaction has written

    def put(self, place: str, content_type: str, content: Content) -> str:
        """Store a file and return its key. A recipe is stored in the row."""
        key = key_of(self.seed, place, content)
        with self._store.transaction():
            self._keep(key, content_type, content)
            if isinstance(content, Path) and is_ours(content):
                self._store.on_commit(partial(erase, content))
        return key

    def _keep(self, key: str, content_type: str, content: Content) -> None:
        fields: dict[str, Any] = {"key": key, "content_type": content_type, "recipe": None}
        with self._store.transaction():
            if isinstance(content, Mapping):
                fields["recipe"] = content
            else:
                fields["stored_as"] = name = f"{key}-{token_hex(8)}"
                self._write(self._path(name), content)
            self._store.insert(TABLE, None, fields, refs=(key,))

    def _write(self, path: Path, content: bytes | Path) -> None:
        if isinstance(content, Path):
            content.stat()  # FileNotFoundError is no error of the disk
        with raising_unavailable():
            self._store.on_rollback(partial(self._erase_unnamed, path))
            path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            if isinstance(content, Path):
                link(content, path)  # not moved: the transaction may be rolled back
            else:
                with open(path, "xb", opener=private_file) as file:
                    file.write(content)
            self._sync_before_commit(path)

    def _sync_before_commit(self, path: Path) -> None:
        """See to it that a loss of power after the commit does not lose the bytes."""
        folders: set[Path] | None = getattr(self._local, "unsynced", None)
        if folders is None:  # the first file of this transaction
            folders = self._local.unsynced = {self._folder}
            self._store.on_rollback(self._forget_unsynced)
            self._store.before_commit(self._sync_folders)
        folders.add(path.parent)
        self._store.before_commit(partial(_sync, path))

    def _sync_folders(self) -> None:
        folders, self._local.unsynced = self._local.unsynced, None
        for folder in folders:
            _sync(folder)

    def _forget_unsynced(self) -> None:
        self._local.unsynced = None

    def get(self, key: str) -> File | None:
        row = self._find(key)
        return None if row is None else self._file(row)

    def _file(self, row: Row) -> File:
        key, recipe = row["key"], row["recipe"]
        path = self._path(_stored_as(row)) if recipe is None else None
        return File(key, row["content_type"], recipe=recipe, path=path)

    def delete(self, keys: Iterable[str]) -> None:
        with self._store.transaction():
            for row in filter(None, map(self._find, keys)):
                self._store.delete(row)
                self._erase_after_commit(row)

    def _erase_after_commit(self, row: Row) -> None:
        if row["recipe"] is None:
            self._store.on_commit(partial(erase, self._path(_stored_as(row))))

    def hold(self) -> HeldFiles:
        files = map(self._file, self._store.find(TABLE, Query(None)))
        return hold_files(files, f"{self._folder.name}-held-", self._folder.parent)

    def restore(self, file: File) -> None:
        content = file.content if file.path is None else file.path
        self._keep(file.key, file.content_type, content)

    def reset(self) -> None:
        """Erase the bytes of all files once the transaction has been committed."""
        for row in self._store.find(TABLE, Query(None)):
            self._erase_after_commit(row)

    def sweep(self) -> int:
        """Erase bytes that no row names, and what processes that were killed have held.

        Returns the number of files that no row named.
        """
        own_folders.erase_abandoned(self._folder.parent, [f"{self._folder.name}-held-"])
        return sum(self._erase_unnamed(path) for path in self._folder.glob("*/*"))

    def _erase_unnamed(self, path: Path) -> bool:
        """Erase bytes that no row names.

        Within a transaction: one that has written its bytes and not yet its row has ended by then.
        """
        key = path.name.partition("-")[0]
        if not KEY.fullmatch(key) or self._is_named(key, path.name):
            return False
        with self._store.transaction():
            if self._is_named(key, path.name):
                return False
            erase(path)
            return True

    def _is_named(self, key: str, name: str) -> bool:
        rows = self._store.find(TABLE, Query(None, ref=key))
        return any(_stored_as(row) == name for row in rows)

    def _find(self, key: str) -> Row | None:
        rows = self._store.find(TABLE, Query(None, ref=key, limit=1))
        return rows[0] if rows else None

    def _path(self, name: str) -> Path:
        return self._folder / name[:SPREAD] / name


def _sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk.

    Raises Unavailable.
    """
    with raising_unavailable():
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _stored_as(row: Row) -> str:
    """The name of a file's bytes. In rows of version 0.1.0 it is the key."""
    name: str = row.get("stored_as") or row["key"]
    return name


def _is_of_earlier_version(path: Path) -> bool:
    """Whether a path in a folder without a marker is a folder of files that are named by keys."""
    return path.is_dir() and all(
        inner.name.startswith(path.name) and KEY.fullmatch(inner.name) for inner in path.iterdir()
    )
