"""Disks that fail, and disks that lose what was not synced."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.storage.sql.session import Session
from astria_emulator.storage.sql.sqlite import Sqlite

MOST_CALLS = 300
CALLS = ("open", "mkdir", "link", "fsync", "unlink", "rename", "replace", "write")


class FailingDisk:
    """Counts the calls that write to files below a folder or to the database; one of them fails.

    error: what the disk says. The database fails as a full disk makes it fail.
    """

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, error: int = errno.ENOSPC):
        self.count, self._fail_at, self._error = 0, -1, error
        self._folder, self._inside = str(folder), False
        for name in CALLS:
            self._wrap(patch, name)
        patch.setattr("builtins.open", self._opened(open))
        for name in ("run", "rows"):
            self._wrap_session(patch, name)
        self._wrap_commits(patch)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """What is done here may fail."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def fail_each_call(self, step: Callable[[int], None]) -> int:
        """Do a step until none of its calls fails, with another one that does each time.

        Returns how many failed.
        """
        for at in range(MOST_CALLS):
            self.count, self._fail_at = 0, at
            step(at)
            if self.count <= at:
                return at
        raise AssertionError(f"a step makes more than {MOST_CALLS} calls")

    def _is_due(self) -> bool:
        if not self._inside:
            return False
        self.count += 1
        return self.count - 1 == self._fail_at

    def _fails(self) -> None:
        if self._is_due():
            raise OSError(self._error, os.strerror(self._error))

    def _wrap(self, patch: pytest.MonkeyPatch, name: str) -> None:
        real: Callable[..., Any] = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            is_ours = any(
                isinstance(arg, str | Path) and str(arg).startswith(self._folder) for arg in args
            )
            if is_ours or name == "fsync":
                self._fails()
            return real(*args, **kwargs)

        patch.setattr(os, name, call)

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """`open`, whose files may fail when they are written to."""

        def opened(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            file = real(path, mode, *args, **kwargs)
            if mode == "xb" and str(path).startswith(self._folder) and self._is_due():
                file.write(b"ha")  # what has room
                file.close()
                raise OSError(self._error, os.strerror(self._error))
            return file

        return opened

    def _wrap_session(self, patch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(Session, name)

        def call(session: Session, *args: Any) -> Any:
            if self._is_due():
                raise sqlite3.OperationalError("database or disk is full")
            return real(session, *args)

        patch.setattr(Session, name, call)

    def _wrap_commits(self, patch: pytest.MonkeyPatch) -> None:
        disk, real = self, Sqlite._writing

        @contextmanager
        def writing(database: Sqlite) -> Iterator[Session]:
            with real(database) as session:
                yield session
                if disk._is_due():  # the commit
                    raise sqlite3.OperationalError("database or disk is full")

        patch.setattr(Sqlite, "_writing", writing)


class LosingDisk:
    """Notes what has been synced below a folder, and drops the rest when power is lost."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path):
        self._folder, self._synced = folder, set[Path]()
        real = os.fsync

        def fsync(number: int) -> None:
            self._synced.add(Path(os.readlink(f"/proc/self/fd/{number}")))
            real(number)

        patch.setattr(os, "fsync", fsync)

    def lose_power(self) -> None:
        """Drop every file that was not synced, or whose folder was not."""
        for path in self._folder.rglob("*"):
            way = [path, *(p for p in path.parents if p.is_relative_to(self._folder))]
            if path.is_file() and not self._synced.issuperset(way):
                path.unlink()
