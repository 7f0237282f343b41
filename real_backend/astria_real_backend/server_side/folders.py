"""Where the server keeps files of training: temporary ones, one folder a tune, class pictures.

Photographs and weights are personal: each folder says when it is erased.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

PREFIX = "astria-real-"  # of a temporary folder; the id of its process follows
STALE_SECONDS = 86_400  # another server may share the folder
TEMPORARY_KINDS = ("pictures", "drawn", "made")


@dataclass(frozen=True)
class Folders:
    """Folders within one. is_permanent: whether tunes' folders outlive the server."""

    folder: Path
    is_permanent: bool

    @classmethod
    def of(cls, folder: str, data: str) -> "Folders":
        """`folder` if it is given, else a folder within `data`, else a temporary one."""
        if folder or data:
            return cls(Path(folder or Path(data) / "real").absolute(), bool(data))
        for other in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
            if not _is_running(other.name.removeprefix(PREFIX).partition("-")[0]):
                shutil.rmtree(other, ignore_errors=True)
        return cls(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")), False)

    @property
    def classes(self) -> Path:
        """Class pictures, which the bases have drawn: shared by all tunes."""
        return self.folder / "classes"

    def of_tune(self, tune_id: int, uid: int) -> Path:
        """A tune's folder: it keeps the checkpoint that the next try resumes from."""
        folder = self.folder / "tunes" / f"{tune_id}-{uid}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def temporary(self, kind: str) -> Iterator[Path]:
        """A folder that is erased when the work ends."""
        folder = self.folder / kind / uuid4().hex
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def take(self, file: Path) -> Path:
        """Move a file out of a folder that will be erased; it is the caller's then."""
        target = self.folder / "made" / f"{uuid4().hex}-{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        return file.replace(target)

    def forget(self, tune_id: int | None) -> None:
        """Erase the folders of a deleted tune, or of all tunes."""
        for folder in (self.folder / "tunes").glob("*" if tune_id is None else f"{tune_id}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Erase the temporary files of servers that were killed."""
        for kind in TEMPORARY_KINDS:
            for path in (self.folder / kind).glob("*"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < time.time() - STALE_SECONDS:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        """Erase everything that does not outlive the server."""
        if not self.is_permanent:
            for kind in (*TEMPORARY_KINDS, "tunes"):
                shutil.rmtree(self.folder / kind, ignore_errors=True)
            if self.folder.name.startswith(PREFIX):
                shutil.rmtree(self.folder, ignore_errors=True)


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
