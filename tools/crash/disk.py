"""A small disk that can be filled, and made read-only; where this may be mounted."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 200
CHUNK = 1 << 20


class Disk:
    """A file system in memory; `folder` is for the servers' data."""

    def __init__(self, mounted: Path):
        self._mounted = mounted
        self.folder = mounted / "data"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte."""
        ballast = self._mounted / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                for size in (CHUNK, 4096, 1):
                    try:
                        while file.write(b"0" * size) == size:
                            pass
                    except OSError:
                        continue
            yield
        finally:
            ballast.unlink(missing_ok=True)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be written to the folder of files; the database's file stays open."""
        files = self.folder / "files"
        run("mount", "--bind", str(files), str(files))
        try:
            run("mount", "-o", "remount,bind,ro", str(files))
            yield
        finally:
            run("umount", "--lazy", str(files))


@contextmanager
def mounted(folder: Path) -> Iterator[Disk | None]:
    """Mount a disk at a folder; None where this process may not."""
    try:
        run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        run("umount", "--lazy", str(folder))


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
