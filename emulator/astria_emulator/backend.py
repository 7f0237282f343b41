"""The seam: what a backend is asked to do, in plain values.

The server does not know what makes a picture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

# Keeps progress such as {"phase": "training", "step": 10}; answers False when the work shall stop.
Report = Callable[[Mapping[str, Any]], bool]
Recipe = Mapping[str, Any]


@dataclass(frozen=True)
class Artefact:
    """A file: its bytes, or a file on disk that becomes ours, or a recipe.

    The mock makes the bytes of a recipe when they are fetched.
    """

    content_type: str
    content: bytes | Path | Recipe
    name: str = ""  # of the file that was sent

    @classmethod
    def at(cls, address: str) -> "Artefact":
        """A picture at an address that was not fetched."""
        return cls("image/jpeg", {"address": address}, name_in(address))


def name_in(address: str) -> str:
    """The last part of an address, without what follows a question mark."""
    return address.partition("?")[0].rpartition("/")[2]


@dataclass(frozen=True)
class Trained:
    """What training made: files, the one of `ckpt_url` first.

    report: what JSON can hold, for /_emulator/.
    """

    files: Sequence[Artefact] = ()
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuned:
    """A tune that was trained before, to train or draw with; `files` as `train` made them."""

    tune_id: int
    model_type: str | None
    token: str | None
    files: Sequence[Artefact]


@dataclass(frozen=True)
class TrainJob:
    """A tune to train. `attributes` are the request's own, in the wire's words.

    uid: never given twice, as `tune_id` is after a reset.
    base_tune_id: the gallery's tune below all others. `checkpoint` is a tune of the caller's own
    between it and this one, `adapter` one that this one goes on from. `captions` are text files,
    each of the picture whose name is the same but for its end.
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

    width, height: pixels. `tunes` holds (kind, tune id, scale) of each tune that the text names,
    and `adapters` those of the caller's own. base_tune_id, checkpoint: as for training.
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
    """What trains and generates; made with the server's Config.

    Both verbs raise BackendError with a sentence for the end user when work fails for good,
    WorkLost when it may be tried again, and Cancelled once `report` has answered False.
    `slots`: how many jobs it does at a time, where it does not pretend. `tries`: how often a job
    begins before it fails.
    """

    name: str
    slots: int
    tries: int

    def start(self) -> None:
        """Get ready, without making anybody wait."""
        ...

    def close(self) -> None:
        """Let go of the work under way, which may go on at the next start."""
        ...

    def serves(self, branch: str) -> bool:
        """Whether it does a branch's work; the mock does what it does not."""
        ...

    def refusal(self, branch: str, base_tune_id: int) -> str | None:
        """Why a branch cannot train or draw with a gallery tune."""
        ...

    def side(self, base_tune_id: int) -> int | None:
        """Pixels of a square picture of a gallery tune, where its branch's own do not count."""
        ...

    def forget(self, tune_id: int | None) -> None:
        """Erase what is kept of a tune that is gone, or of all."""
        ...

    def train_seconds(self, attributes: Mapping[str, Any]) -> float:
        """Seconds that training is expected to take, for `eta`."""
        ...

    def prompt_seconds(self, attributes: Mapping[str, Any]) -> float:
        """Seconds that a prompt is expected to take."""
        ...

    @property
    def pretends(self) -> bool:
        """Whether the work takes no time, and the expected time is to pass before it begins."""
        ...

    def train(self, job: TrainJob, report: Report) -> Trained:
        """Train a tune."""
        ...

    def generate(self, jobs: Sequence[GenerateJob], report: Report) -> list[list[Artefact]]:
        """Make the pictures of a batch of prompts that belong together, in their order."""
        ...

    def inspect(self, image: bytes | str, name: str) -> Mapping[str, Any]:
        """Tell what a picture, or one at an address, shows of a class."""
        ...
