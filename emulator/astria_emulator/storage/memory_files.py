"""The default files: all in this process, lost when it ends."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from astria_emulator.storage.file_keys import Content, key_of
from astria_emulator.storage.files import File, HeldFiles, TempFolder, hold_files, link
from astria_emulator.storage.gc_tuning import free_slowly
from astria_emulator.storage.store import Store


class MemoryFiles:
    """All files in this process. Those that a backend wrote to disk stay there until deleted."""

    def __init__(self, store: Store, seed: int):
        self._store, self.seed = store, seed
        self._files: dict[str, File] = {}
        self._paths: dict[str, Path] = {}  # of those on disk, which are erased there
        self._folder: TempFolder | None = None  # for those that were restored

    def put(self, place: str, content_type: str, content: Content) -> str:
        """Store a file and return its key.

        `place` gives equal files different keys: `tune/5000001/image/0`.
        """
        key = key_of(self.seed, place, content)
        if isinstance(content, bytes):
            self._keep(File(key, content_type, data=content))
        elif isinstance(content, Path):
            self._keep(File(key, content_type, path=content))
        else:
            self._keep(File(key, content_type, recipe=content))
        return key

    def get(self, key: str) -> File | None:
        return self._files.get(key)

    def delete(self, keys: Iterable[str]) -> None:
        def erase() -> None:
            for key in keys:
                self._files.pop(key, None)
                if path := self._paths.pop(key, None):
                    path.unlink(missing_ok=True)

        self._store.on_commit(erase)

    def hold(self) -> HeldFiles:
        return hold_files(list(self._files.values()))

    def restore(self, file: File) -> None:
        if file.path is not None:
            self._folder = self._folder or TempFolder("astria-files-")
            path = self._folder.path / uuid4().hex  # the old one may be erased at commit
            link(file.path, path)
            self._store.on_rollback(partial(path.unlink, missing_ok=True))
            file = replace(file, path=path)
        self._keep(file)

    def reset(self) -> None:
        """Delete all files, in constant time but for those on disk."""
        files, paths = self._files, self._paths
        self._files, self._paths = {}, {}

        def put_back() -> None:
            self._files, self._paths = files, paths

        def erase() -> None:
            for path in paths.values():
                path.unlink(missing_ok=True)
            free_slowly([files])

        self._store.on_rollback(put_back)
        self._store.on_commit(erase)

    def _keep(self, file: File) -> None:
        self._files[file.key] = file
        if file.path is not None:
            self._paths[file.key] = file.path
        self._store.on_rollback(partial(self._drop, file.key))

    def _drop(self, key: str) -> None:
        self._files.pop(key, None)
        self._paths.pop(key, None)
