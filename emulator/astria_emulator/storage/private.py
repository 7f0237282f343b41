"""Folders and files that only their owner can read, whatever the umask."""

import os
from contextlib import suppress
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing. One that exists keeps its mode.

    Raises OSError.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        with suppress(FileExistsError):  # made in the meantime; a file is told by who uses it
            folder.mkdir(FOLDER_MODE)
            folder.chmod(FOLDER_MODE)


def make_file(path: Path) -> None:
    """Make an empty file where there is none. One that exists loses the access of others.

    Raises OSError.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, FILE_MODE))
    close_to_others(path)


def close_to_others(path: Path) -> None:
    """Take the access of others to a file away, if it is there and the user's own."""
    with suppress(OSError):
        path.chmod(FILE_MODE)
