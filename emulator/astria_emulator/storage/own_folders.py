"""Folders of our own: the only place where files are erased or moved.

A folder is ours if it holds a marker file that we wrote. What lies in no such folder is never
erased, whoever asks for it.
"""

import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

from astria_emulator.errors import SetupError
from astria_emulator.storage.private import FILE_MODE, make_folder

try:
    import fcntl
except ImportError:  # Windows: an abandoned folder cannot be told from one in use, and stays
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

MARKER = ".astria-emulator"
MARKER_TEXT = (
    "This folder belongs to astria-emulator, which erases what is in it. Keep nothing else here.\n"
)
UNFINISHED_SECONDS = 60.0  # within which each folder gets its marker
# Of the temporary folders of all parts of this program.
TEMPORARY = ("astria-files-", "astria-held-", "astria-real-", "astria-state-", "astria-tls-")

# Says of what is in a folder without a marker whether an earlier version made it.
IsOurs = Callable[[Path], bool]


class NotOurs(Exception):
    """Something is to be erased or moved that lies in no folder of ours."""


def claim(folder: Path, setting: str, *, is_ours: IsOurs = lambda path: False) -> None:
    """Make a folder ours. It may be new, empty, ours already, or of an earlier version.

    setting: the flag that named it. is_ours: tells the files of an earlier version, which wrote no
    marker; it gets each path directly in the folder. Raises SetupError when there is anything else.
    """
    try:
        make_folder(folder)
        if is_marked(folder):
            return
        others = (path for path in folder.iterdir() if not path.name.startswith(MARKER))
        strangers = sorted(path.name for path in others if not is_ours(path))
        if strangers:
            more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
            problem = (
                f"{folder} holds what is not ours ({strangers[0]!r}{more}), and files in it would "
                "be erased; name another folder, or move them away"
            )
            raise SetupError(setting, [problem])
        _mark(folder).close()
    except OSError as error:
        raise SetupError(setting, [f"{folder}: {error.strerror}"]) from None


def is_marked(folder: Path) -> bool:
    """Whether a folder is ours."""
    try:
        return (folder / MARKER).read_text() == MARKER_TEXT
    except (OSError, UnicodeDecodeError):
        return False


def is_ours(path: Path) -> bool:
    """Whether a file or folder lies in a folder of ours, wherever links lead to."""
    return any(is_marked(folder) for folder in _place_of(path).parents)


def erase(path: Path) -> None:
    """Erase a file, a link, or a folder with all that is in it. What is not there needs no erasing.

    Raises NotOurs, and OSError.
    """
    path = _of_ours(path)
    if path.is_dir() and not path.is_symlink():
        _erase_folder(path)
    elif os.path.lexists(path):  # else a disk that is read-only would complain
        path.unlink(missing_ok=True)


def move(path: Path, target: Path) -> Path:
    """Move a file within our folders, in place of one that is there; return its new path.

    Raises NotOurs, and OSError.
    """
    return _of_ours(path).replace(_of_ours(target))


def publish_file(path: Path, text: str, *, mode: int) -> None:
    """Write a file whole or not at all, in place of one that is there. The caller may lose that.

    mode: who may read it, whatever the umask.
    Raises OSError.
    """
    draft = path.with_name(f"{path.name}.{token_hex(4)}")
    try:
        with draft.open("x") as file:
            file.write(text)
        draft.chmod(mode)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def publish_folder(draft: Path, folder: Path) -> None:
    """Move a folder that was just made to its place, where nothing is or an empty folder.

    Raises NotOurs, and OSError where there is something.
    """
    _of_ours(draft).rename(folder)


def _of_ours(path: Path) -> Path:
    """The path itself, without links on its way.

    Raises NotOurs.
    """
    place = _place_of(path)
    if not any(is_marked(folder) for folder in place.parents):
        raise NotOurs(f"{path} lies in no folder of ours: it is left as it is")
    return place


def _place_of(path: Path) -> Path:
    return path.parent.resolve() / path.name  # a link itself may be erased, what it leads to not


def _erase_folder(folder: Path) -> None:
    """Erase a folder; files in it may go meanwhile, as others erase them too."""
    for attempt in range(3):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
            return
        if not folder.exists():
            return
        log.debug("%s changed while it was erased, attempt %d", folder, attempt)


# -- temporary folders -----------------------------------------------------------------------------
class TempFolder:
    """A folder of ours that is erased with this object, at the latest when the process ends.

    A process that is killed leaves it; `erase_abandoned` of another one erases it then.
    prefix: one of `TEMPORARY`, or one that is erased where it is made.
    """

    def __init__(self, prefix: str, *, parent: Path | None = None):
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = _mark(self.path)
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        _lock(lock)
        self._finalizer = weakref.finalize(self, _erase_locked, self.path, lock)

    def erase(self) -> None:
        """Erase it now."""
        self._finalizer()


def erase_abandoned(parent: Path, prefixes: Iterable[str] = TEMPORARY) -> None:
    """Erase the temporary folders of processes that were killed."""
    for prefix in prefixes:
        for folder in parent.glob(f"{prefix}*"):
            try:
                if folder.is_symlink():
                    continue
                if is_marked(folder):
                    _erase_if_abandoned(folder)
                elif _is_unfinished(folder):
                    _erase_folder(folder)
            except OSError as error:  # another user's, or gone
                log.debug("%s: %s", folder, error)


def temporary_parent() -> Path:
    """The folder in which temporary folders are made by default."""
    return Path(tempfile.gettempdir())


def _is_unfinished(folder: Path) -> bool:
    """Whether a process was killed between the making of a folder and its marker, some time ago."""
    is_old = folder.stat().st_mtime < time.time() - UNFINISHED_SECONDS
    return is_old and all(path.name.startswith(MARKER) for path in folder.iterdir())


def _erase_if_abandoned(folder: Path) -> None:
    with (folder / MARKER).open("r+b") as lock:
        if _lock(lock):
            _erase_folder(folder)


def _erase_locked(folder: Path, lock: IO[bytes]) -> None:
    with suppress(OSError):
        _erase_folder(folder)
    lock.close()


def _lock(marker: IO[bytes]) -> bool:
    """Lock a marker until it is closed, or its process ends; return whether that was possible."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _mark(folder: Path) -> IO[bytes]:
    """Write the marker, whole or not at all; return it, open."""
    draft = folder / f"{MARKER}-{os.getpid()}"
    marker = open(draft, "w+b", opener=private_file)  # noqa: SIM115 - stays open for its lock
    try:
        marker.write(MARKER_TEXT.encode())
        marker.flush()
        draft.replace(folder / MARKER)
    except OSError:
        marker.close()
        raise
    return marker


def private_file(path: str, flags: int) -> int:
    """An opener of files that only their owner may read."""
    return os.open(path, flags, FILE_MODE)
