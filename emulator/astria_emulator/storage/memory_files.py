"""The default files: all in this process, lost when it ends."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from astria_emulator.storage.file_keys import Content, key_of
from astria_emulator.storage.files import File, HeldFiles, hold_files, link, raising_unavailable
from astria_emulator.storage.gc_tuning import free_slowly
from astria_emulator.storage.own_folders import TempFolder, erase, is_ours
from astria_emulator.storage.store import Store, run_all


class MemoryFiles:
    """All files in this process. Those that a backend wrote to disk stay there until deleted."""

    def __init__(self, store: Store, seed: int):
        self._store, self.seed = store, seed
        self._files: dict[str, File] = {}
        self._folder: TempFolder | None = None  # for copies of files on disk

    def put(self, place: str, content_type: str, content: Content) -> str:
        """Store a file and return its key.

        `place` gives equal files different keys: `tune/5000001/image/0`.
        """
        key = key_of(self.seed, place, content)
        if isinstance(content, bytes):
            self._keep(File(key, content_type, data=content))
        elif isinstance(content, Path):
            path = content if is_ours(content) else self._copy(content)
            self._keep(File(key, content_type, path=path))
        else:
            self._keep(File(key, content_type, recipe=content))
        return key

    def get(self, key: str) -> File | None:
        return self._files.get(key)

    def delete(self, keys: Iterable[str]) -> None:
        def delete_each() -> None:
            _erase_bytes(file for key in keys if (file := self._files.pop(key, None)))

        self._store.on_commit(delete_each)

    def hold(self) -> HeldFiles:
        return hold_files(list(self._files.values()))

    def restore(self, file: File) -> None:
        self._keep(file if file.path is None else replace(file, path=self._copy(file.path)))

    def reset(self) -> None:
        """Delete all files, in constant time but for those on disk."""
        files, self._files = self._files, {}

        def put_back() -> None:
            self._files = files

        def erase_each() -> None:
            _erase_bytes(files.values())
            free_slowly([files])

        self._store.on_rollback(put_back)
        self._store.on_commit(erase_each)

    def _copy(self, source: Path) -> Path:
        """Link or copy a file into a folder of ours.

        Raises Unavailable, and FileNotFoundError.
        """
        source.stat()  # FileNotFoundError is no error of the disk
        with raising_unavailable():
            self._folder = self._folder or TempFolder("astria-files-")
            path = self._folder.path / uuid4().hex  # the old one may be erased at commit
            self._store.on_rollback(partial(erase, path))
            link(source, path)
        return path

    def _keep(self, file: File) -> None:
        self._files[file.key] = file
        self._store.on_rollback(partial(self._files.pop, file.key, None))


def _erase_bytes(files: Iterable[File]) -> None:
    run_all([partial(erase, file.path) for file in files if file.path])
