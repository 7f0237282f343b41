"""Files on disk: bytes in a folder, and a row of the store for each.

Bytes are written before their row, and erased after it. So a process that is killed in between
leaves at most bytes without a row, which `sweep` erases.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from astria_emulator.storage.file_keys import KEY, Content, key_of
from astria_emulator.storage.files import File, HeldFiles, hold_files, link
from astria_emulator.storage.store import Query, Row, Store

SPREAD = 2  # characters of a key that name its folder
TABLE = "file"


class FolderFiles:
    """All files in a folder. Processes that share the store share the folder too."""

    def __init__(self, store: Store, seed: int, folder: Path):
        self._store, self.seed, self._folder = store, seed, folder

    def put(self, place: str, content_type: str, content: Content) -> str:
        """Store a file and return its key. A recipe is stored in the row."""
        key = key_of(self.seed, place, content)
        with self._store.transaction():
            self._keep(key, content_type, content)
            if isinstance(content, Path):
                self._store.on_commit(partial(content.unlink, missing_ok=True))
        return key

    def _keep(self, key: str, content_type: str, content: Content) -> None:
        recipe = None if isinstance(content, bytes | Path) else content
        fields = {"key": key, "content_type": content_type, "recipe": recipe}
        with self._store.transaction():
            if not isinstance(content, Mapping):
                path = self._path(key)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._store.on_rollback(lambda: self._erase_unnamed(path))
                if isinstance(content, Path):
                    link(content, path)  # not moved: the transaction may be rolled back
                else:
                    path.write_bytes(content)
            self._store.insert(TABLE, None, fields, refs=(key,))

    def get(self, key: str) -> File | None:
        row = self._find(key)
        return None if row is None else self._file(row)

    def _file(self, row: Row) -> File:
        key, recipe = row["key"], row["recipe"]
        path = self._path(key) if recipe is None else None
        return File(key, row["content_type"], recipe=recipe, path=path)

    def delete(self, keys: Iterable[str]) -> None:
        with self._store.transaction():
            for row in filter(None, map(self._find, keys)):
                self._store.delete(row)
                erase = partial(self._path(row["key"]).unlink, missing_ok=True)
                self._store.on_commit(erase)

    def hold(self) -> HeldFiles:
        files = map(self._file, self._store.find(TABLE, Query(None)))
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        return hold_files(files, f"{self._folder.name}-held-", self._folder.parent)

    def restore(self, file: File) -> None:
        content = file.content if file.path is None else file.path
        self._keep(file.key, file.content_type, content)

    def reset(self) -> None:
        """Move everything aside within the transaction, and erase it after the commit."""
        aside = self._folder.with_name(f"{self._folder.name}-erased-{uuid4().hex}")
        if not self._folder.exists():
            return
        self._folder.rename(aside)
        # By then there may be new files, of a restore or of other processes.
        self._store.on_rollback(lambda: self._bring_back(aside))
        self._store.on_commit(lambda: shutil.rmtree(aside, ignore_errors=True))

    def sweep(self, before: float) -> int:
        """Erase bytes that no row names and that are older than a time.

        before: seconds since 1970. Returns the number of files.
        """
        for aside in self._folder.parent.glob(f"{self._folder.name}-erased-*"):
            self._bring_back(aside)
        if not self._store.is_shared:  # those of another process may be in use
            for held in self._folder.parent.glob(f"{self._folder.name}-held-*"):
                with suppress(FileNotFoundError):  # deleted since it was listed
                    if held.stat().st_mtime < before:
                        shutil.rmtree(held, ignore_errors=True)
        return sum(self._erase_unnamed(path) for path in self._older(before))

    def _erase_unnamed(self, path: Path) -> bool:
        """Erase bytes that no row names. Another request may have stored the same file again."""
        with self._store.transaction():
            if self._find(path.name) is not None:
                return False
            path.unlink(missing_ok=True)
            return True

    def _bring_back(self, aside: Path) -> None:
        """Move the files back that rows still name, after a reset that failed or was killed."""
        for path in aside.glob("*/*"):
            if KEY.fullmatch(path.name) and self._find(path.name) is not None:
                home = self._path(path.name)
                home.parent.mkdir(parents=True, exist_ok=True)
                path.rename(home)
        shutil.rmtree(aside, ignore_errors=True)

    def _older(self, before: float) -> Iterator[Path]:
        for path in self._folder.glob("*/*"):
            try:
                if KEY.fullmatch(path.name) and path.stat().st_mtime < before:
                    yield path
            except FileNotFoundError:  # erased since it was listed
                continue

    def _find(self, key: str) -> Row | None:
        rows = self._store.find(TABLE, Query(None, ref=key, limit=1))
        return rows[0] if rows else None

    def _path(self, key: str) -> Path:
        return self._folder / key[:SPREAD] / key
