"""Where the server's side keeps files: what passes, what a next try needs, and what all may use.

Photographs and weights are personal: each place says when they go.
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

TEMPORARY = "astria-real-"  # and the process that made it
STALE_SECONDS = 86_400  # another server may share the folder
PASSING = ("pictures", "drawn", "made")


@dataclass(frozen=True)
class Places:
    """Folders within one. `lasts`: whether it, and what is in it, outlives the server."""

    folder: Path
    lasts: bool

    @classmethod
    def of(cls, folder: str, data: str) -> "Places":
        """The folder that was named, or one within the server's own, or one for this time."""
        if folder or data:
            return cls(Path(folder or Path(data) / "real").absolute(), bool(data))
        for other in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*-*"):
            if not _lives(other.name.removeprefix(TEMPORARY).partition("-")[0]):
                shutil.rmtree(other, ignore_errors=True)
        return cls(Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-")), False)

    @property
    def classes(self) -> Path:
        """Pictures of classes, which the bases themselves have drawn: anybody's."""
        return self.folder / "classes"

    def room(self, tune_id: int, uid: int) -> Path:
        """A tune's own: its checkpoint waits here for the next try."""
        place = self.folder / "tunes" / f"{tune_id}-{uid}"
        place.mkdir(parents=True, exist_ok=True)
        return place

    @contextmanager
    def passing(self, kind: str) -> Iterator[Path]:
        """A folder that goes with the work."""
        place = self.folder / kind / uuid4().hex
        place.mkdir(parents=True)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def take(self, file: Path) -> Path:
        """Move a file out of a folder that goes; it is the caller's then."""
        place = self.folder / "made" / f"{uuid4().hex}-{file.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        return file.replace(place)

    def forget(self, tune_id: int | None) -> None:
        """Erase the rooms of a tune that is gone, or of all."""
        for room in (self.folder / "tunes").glob("*" if tune_id is None else f"{tune_id}-*"):
            shutil.rmtree(room, ignore_errors=True)

    def sweep(self) -> None:
        """Erase what servers that were killed had in passing."""
        for kind in PASSING:
            for path in (self.folder / kind).glob("*"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < time.time() - STALE_SECONDS:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        """What the server forgets, goes."""
        if not self.lasts:
            for kind in (*PASSING, "tunes"):
                shutil.rmtree(self.folder / kind, ignore_errors=True)
            if self.folder.name.startswith(TEMPORARY):
                shutil.rmtree(self.folder, ignore_errors=True)


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
