"""Where work runs: the small interface that one machine, and later many, stand behind.

The table of jobs alone knows what is to be done and how often it was tried; an executor only runs
what it is given, and tells how it went.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol


@dataclass(frozen=True, kw_only=True)
class Task:
    """config: a TrainConfig or a SampleConfig as plain values.

    Folders that both sides reach: `folder` for results and for the checkpoint that the next
    try goes on from, `pictures` with what is trained on, and `classes` for pictures of classes.
    """

    kind: Literal["train", "generate"]
    config: Mapping[str, Any]
    folder: Path
    pictures: Path
    classes: Path


@dataclass(frozen=True)
class Progress:
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """files: names within the task's folder, or paths."""

    files: tuple[Path, ...]
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """It cannot be done: a sentence for the end user."""

    reason: str


@dataclass(frozen=True)
class Lost:
    """The worker is gone, or out of memory: another try may do.

    disk: the disk was full or read-only, and the work waits for it.
    """

    reason: str
    disk: bool = False


@dataclass(frozen=True)
class Stopped:
    """It was cancelled, and has stopped; its last checkpoint stays in its folder."""


Event = Progress | Done | Failed | Lost | Stopped


class Worker(Protocol):
    """What runs one task at a time, and keeps its base ready between them."""

    device: str


class Executor(Protocol):
    """`slots` workers. A claim stands until `release`."""

    slots: int

    def warm(self) -> None:
        """Start workers without waiting for them."""
        ...

    def claim(self) -> Worker:
        """A free worker; waits for one."""
        ...

    def start(self, worker: Worker, task: Task) -> None: ...

    def poll(self, worker: Worker, seconds: float) -> Event | None:
        """What happens next, or None when nothing has within some seconds."""
        ...

    def cancel(self, worker: Worker) -> None:
        """Ask to stop; one that does not within the grace is ended, and then `poll` says Lost."""
        ...

    def kill(self, worker: Worker) -> None:
        """End it at once, with what it does."""
        ...

    def release(self, worker: Worker) -> None: ...

    def drain(self) -> None:
        """End all workers."""
        ...
