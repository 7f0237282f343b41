"""The interface of a backend: its jobs and results, in plain values.

The server does not know how pictures are made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

# Takes progress such as {"phase": "training", "step": 10}; returns False when the work should stop.
Report = Callable[[Mapping[str, Any]], bool]
Recipe = Mapping[str, Any]


@dataclass(frozen=True)
class Artefact:
    """A file: its bytes, a file on disk, or a recipe.

    The server keeps a link or a copy of a file on disk, and erases the file itself only if it lies
    in a folder of its own, as a `TempFolder` is. The mock makes the bytes of a recipe when they are
    fetched.
    """

    content_type: str
    content: bytes | Path | Recipe
    name: str = ""  # file name in the request

    @classmethod
    def at(cls, address: str) -> "Artefact":
        """A picture at an address that was not fetched."""
        return cls("image/jpeg", {"address": address}, name_in(address))


def name_in(address: str) -> str:
    """Return the last part of an address's path."""
    return address.partition("?")[0].rpartition("/")[2]


@dataclass(frozen=True)
class Trained:
    """The result of training: files, that of `ckpt_url` first.

    report: JSON values, for /_emulator/.
    """

    files: Sequence[Artefact] = ()
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuned:
    """A trained tune, as input of a job; `files` as `train` returned them."""

    tune_id: int
    model_type: str | None
    token: str | None
    files: Sequence[Artefact]


@dataclass(frozen=True)
class TrainJob:
    """A tune to train. `attributes` are the request's, with the names of the wire.

    uid: unique for ever; a `tune_id` may be used again after a reset.
    base_tune_id: the gallery's tune at the root. `checkpoint`: a tune of the caller's own between
    it and this one. `adapter`: one whose training this one continues. `captions`: text files; each
    has the name of its picture, but for the extension.
    """

    tune_id: int
    uid: int
    branch: str
    model_type: str | None
    base_tune_id: int
    images: Sequence[Artefact]
    attributes: Mapping[str, Any]
    checkpoint: Tuned | None = None
    adapter: Tuned | None = None
    captions: Sequence[Artefact] = ()


@dataclass(frozen=True)
class GenerateJob:
    """A prompt to make pictures or a video for.

    width, height: pixels. `tunes`: (kind, tune id, scale) of each tune that the text names.
    `adapters`: those of them that are the caller's own. base_tune_id, checkpoint: as for training.
    """

    prompt_id: int
    tune_id: int
    tune_title: str
    branch: str
    text: str
    subject: str
    seed: int
    num_images: int
    width: int
    height: int
    tunes: Sequence[tuple[str, int, float]]
    attributes: Mapping[str, Any]
    images: Mapping[str, Artefact] = field(default_factory=dict)
    base_tune_id: int = 0
    checkpoint: Tuned | None = None
    adapters: Sequence[Tuned] = ()


class Backend(Protocol):
    """Trains tunes and generates pictures. Its class is called with the server's Config.

    `train` and `generate` raise BackendError, with a sentence for the end user, when work fails
    for good; WorkLost when it may be tried again; DiskUnavailable to wait for room on the disk;
    Cancelled once `report` has returned False.
    `slots`: the number of jobs at a time, where `pretends` is False. `tries`: how often a job is
    begun before it fails.
    """

    name: str
    slots: int
    tries: int

    def start(self) -> None:
        """Get ready. Return at once."""
        ...

    def close(self) -> None:
        """Interrupt running work. It may continue at the next start."""
        ...

    def serves(self, branch: str) -> bool:
        """Whether it trains and draws for a branch. The mock serves the other branches."""
        ...

    def refusal(self, branch: str, base_tune_id: int) -> str | None:
        """Return why a branch cannot use a gallery tune as base; None when it can."""
        ...

    def side(self, base_tune_id: int) -> int | None:
        """Return the side of a gallery tune's square pictures in pixels; None: as its branch."""
        ...

    def forget(self, tune_id: int | None) -> None:
        """Erase all data about a tune that was deleted or trained; None: about every tune."""
        ...

    def train_seconds(self, attributes: Mapping[str, Any]) -> float:
        """Return the seconds that training is expected to take, for `eta`."""
        ...

    def prompt_seconds(self, attributes: Mapping[str, Any]) -> float:
        """Return the seconds that a prompt is expected to take."""
        ...

    @property
    def pretends(self) -> bool:
        """Whether it does no real work: the server then waits for the expected time first."""
        ...

    def train(self, job: TrainJob, report: Report) -> Trained:
        """Train a tune."""
        ...

    def generate(self, jobs: Sequence[GenerateJob], report: Report) -> list[list[Artefact]]:
        """Return the pictures of each prompt of a batch, in the order of the jobs."""
        ...

    def inspect(self, image: bytes | str, name: str) -> Mapping[str, Any]:
        """Describe a picture, given as bytes or address, of a subject of class `name`."""
        ...


@runtime_checkable
class Sweeps(Protocol):
    """What a backend that keeps files of its own has as well."""

    def sweep(self, is_training: Callable[[int, int], bool]) -> None:
        """Erase what a process that was killed has left; called at the start and from time to time.

        is_training: whether a tune, by its id and uid, is still to be trained.
        """
        ...
