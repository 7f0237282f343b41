"""The seam: what a backend is asked to do, in plain values.

The server does not know what makes a picture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

# Keeps progress such as {"phase": "training", "step": 10}; answers False when the work shall stop.
Report = Callable[[Mapping[str, Any]], bool]
Recipe = Mapping[str, Any]


@dataclass(frozen=True)
class Artefact:
    """A file: its bytes, or a recipe that the mock makes them from when they are fetched."""

    content_type: str
    content: bytes | Recipe

    @classmethod
    def at(cls, address: str) -> "Artefact":
        """A picture at an address that was not fetched."""
        return cls("image/jpeg", {"address": address})


@dataclass(frozen=True)
class TrainJob:
    """A tune to train. `attributes` are the request's own, in the wire's words."""

    tune_id: int
    branch: str
    model_type: str | None
    base_tune_id: int
    images: Sequence[Artefact]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class GenerateJob:
    """A prompt to make pictures or a video for.

    width, height: pixels. `tunes` holds (kind, tune id, scale) of each tune that the text names.
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


class Backend(Protocol):
    """What trains and generates.

    Both raise BackendError with a sentence for the end user when work fails for good.
    """

    name: str

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

    def train(self, job: TrainJob, report: Report) -> Artefact | None:
        """Train; return the weights, or None where there is no file of them."""
        ...

    def generate(self, jobs: Sequence[GenerateJob], report: Report) -> list[list[Artefact]]:
        """Make the pictures of a batch of prompts that belong together, in their order."""
        ...

    def inspect(self, image: bytes | str, name: str) -> Mapping[str, Any]:
        """Tell what a picture, or one at an address, shows of a class."""
        ...
