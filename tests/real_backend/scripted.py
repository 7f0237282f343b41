"""An executor that plays what a test has written, in place of processes that train."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astria_emulator import Config
from astria_real_backend.backend import RealBackend
from astria_real_backend.config import NAMES
from astria_real_backend.workers.executor import Done, Event, Lost, Progress, Stopped, Task
from tests import PATIENCE_SECONDS

REPORT = {
    "images": [], "seconds": {"training": 2.0, "loading": 1.0}, "seconds_per_step": 0.5, "steps": 4,
}  # fmt: skip
JPEG = b"\xff\xd8\xff\xe0 a picture"

# What happens in a task: events, or None for a moment in which nothing does.
Play = Callable[[Task], Iterator[Event | None]]


def succeeds(task: Task) -> Iterator[Event | None]:
    """Writes what training or drawing leaves."""
    yield Progress({"phase": "training", "step": 1, "steps": 4, "loss": 0.5})
    if task.kind == "train":
        names = ["adapter.safetensors", "words.safetensors"]
        count = 2 if task.config["method"] == "pti" else 1
        files = [task.folder / name for name in names[:count]]
    else:
        files = [task.folder / f"{at}.jpg" for at in range(task.config["pictures"])]
    for at, file in enumerate(files):
        file.write_bytes(JPEG + bytes([at]) + str(task.folder).encode())
    yield Done(tuple(files), REPORT if task.kind == "train" else {})


def is_lost(task: Task) -> Iterator[Event | None]:
    yield Progress({"phase": "training", "step": 1, "steps": 4, "loss": 0.5})
    yield Lost("The process that worked on it ended by SIGKILL, maybe out of memory.")


@dataclass
class ScriptedExecutor:
    """Plays its `plays`, one for each task, and then `usual`."""

    plays: deque[Play] = field(default_factory=deque)
    usual: Play = succeeds
    tasks: list[Task] = field(default_factory=list)
    pictures: list[dict[str, bytes]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    slots: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        self._events: Iterator[Event | None] = iter(())
        self.changed = threading.Condition()

    def note(self, call: str) -> None:
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def wait_for(self, call: str, count: int = 1) -> None:
        """Until something has happened so many times; the test fails after a while."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: self.calls.count(call) >= count, PATIENCE_SECONDS
            ), self.calls

    def warm(self) -> None: ...

    def claim(self) -> "ScriptedExecutor":
        return self

    def start(self, worker: Any, task: Task) -> None:
        self.tasks.append(task)
        if task.kind == "train":
            names = json.loads((task.pictures / NAMES).read_text())
            found = [(task.pictures / str(at)).read_bytes() for at in range(len(names))]
            self.pictures.append(dict(zip(names, found, strict=True)))
        play = self.plays.popleft() if self.plays else self.usual
        self._events = play(task)
        self.note(f"start {task.kind}")

    def poll(self, worker: Any, seconds: float) -> Event | None:
        if "cancel" in self.calls[-1:]:
            return Stopped()
        with self.changed:
            event = next(self._events, None)
            if event is None:
                self.changed.wait(0.01)
        return event

    def cancel(self, worker: Any) -> None:
        self.note("cancel")

    def kill(self, worker: Any) -> None:
        self.note("kill")

    def release(self, worker: Any) -> None:
        self.note("release")

    def drain(self) -> None:
        self.note("drain")


CURRENT: list[ScriptedExecutor] = []


def make(config: Config) -> RealBackend:
    """For `--backend scripted:make`: the last executor of CURRENT."""
    return RealBackend(config, executor=CURRENT[-1])


def fake_model(folder: Path) -> Path:
    """A folder that looks like a model, as far as the catalogue looks."""
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    (folder / "unet" / "config.json").write_text("{}")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    return folder
