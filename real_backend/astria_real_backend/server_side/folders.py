"""Where the server keeps files of training: temporary ones, one folder a tune, class pictures.

Photographs and weights are personal: each folder says when it is erased.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from astria_emulator import TempFolder, claim, erase, erase_abandoned, move

RUN = "run-"  # prefix of the folder of one run of a server
TEMPORARY_KINDS = ("pictures", "drawn", "made")
# What version 0.1.0, which wrote no marker, made in each folder of its own.
OF_0_1_0 = {
    "pictures": re.compile("[0-9a-f]{32}"),
    "drawn": re.compile("[0-9a-f]{32}"),
    "made": re.compile("[0-9a-f]{32}-.+"),
    "tunes": re.compile(r"\d+-\d+"),
    "classes": re.compile(r"[\w-]+-[0-9a-f]{16}"),
}
SPEEDS = "speeds.json"


class Folders:
    """Folders within one of our own.

    Class pictures and tunes stay there; all else is in a folder of this run, which is erased when
    the server stops, or by another server when this one was killed.
    """

    def __init__(self, folder: str, data: str):
        """`folder` if it is given, else a folder within `data`, else that of this run.

        Raises SetupError when it holds what is not ours.
        """
        if not folder and not data:
            self._run = TempFolder("astria-real-")
            self.folder = self._run.path
        else:
            self.folder = Path(folder or Path(data) / "real").absolute()
            setting = "--backend-options folder" if folder else "--data"
            claim(self.folder, setting, is_ours=_is_of_0_1_0)
            for kind in TEMPORARY_KINDS:
                erase(self.folder / kind)  # of version 0.1.0
            self._run = TempFolder(RUN, parent=self.folder)
        self._tunes = (self.folder if data else self._run.path) / "tunes"
        if data and folder:  # another server's data may have tunes of the same ids
            whose = blake2b(str(Path(data).resolve()).encode(), digest_size=8).hexdigest()
            self._tunes = self.folder / f"tunes-{whose}"

    @property
    def classes(self) -> Path:
        """Class pictures, which the bases have drawn: shared by all tunes."""
        return self.folder / "classes"

    @property
    def speeds(self) -> Path:
        return self.folder / SPEEDS

    def of_tune(self, tune_id: int, uid: int) -> Path:
        """A tune's folder: it keeps the checkpoint that the next try resumes from."""
        folder = self._tunes / f"{tune_id}-{uid}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def temporary(self, kind: str) -> Iterator[Path]:
        """A folder that is erased when the work ends."""
        folder = self._run.path / kind / uuid4().hex
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            with suppress(OSError):  # the run's folder goes at the end
                erase(folder)

    def take(self, file: Path) -> Path:
        """Move a file out of a folder that will be erased; it is the caller's then."""
        target = self._run.path / "made" / f"{uuid4().hex}-{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        return move(file, target)

    def forget(self, tune_id: int | None) -> None:
        """Erase the folders of a tune that is deleted or trained, or of all tunes."""
        for folder in self._tunes.glob("*" if tune_id is None else f"{tune_id}-*"):
            erase(folder)

    def sweep(self, is_training: Callable[[int, int], bool]) -> None:
        """Erase what servers that were killed have left.

        is_training: whether a tune, by id and uid, is still to be trained.
        """
        erase_abandoned(self.folder, [RUN])
        for folder in self._tunes.glob("*-*"):
            tune_id, _, uid = folder.name.partition("-")
            if not is_training(int(tune_id), int(uid)):
                erase(folder)

    def close(self) -> None:
        """Erase everything that does not outlive the server."""
        self._run.erase()


def _is_of_0_1_0(path: Path) -> bool:
    """Whether version 0.1.0 made what is in a folder without a marker."""
    if path.name == SPEEDS:
        return path.is_file()
    if path.name not in OF_0_1_0 or not path.is_dir():
        return False
    return all(OF_0_1_0[path.name].fullmatch(inner.name) for inner in path.iterdir())
