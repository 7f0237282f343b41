"""How long work takes on this machine, as measured: `eta` is computed from it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

# Before the first measurement: of the toy base on two cores.
DEFAULT_SECONDS = {"step": 0.25, "overhead": 10.0, "picture": 2.0}
NEWEST_WEIGHT = 0.5  # of the newest measurement


class Speeds:
    """Running means in seconds, kept in a file."""

    def __init__(self, path: Path):
        self._path = path
        self._means: dict[str, float] = {}
        with suppress(OSError, ValueError, AttributeError, TypeError):
            self._means = {k: float(v) for k, v in json.loads(path.read_text()).items()}

    def train_seconds(self, method: str, steps: int) -> float:
        step = self._means.get(f"{method} step", DEFAULT_SECONDS["step"])
        return steps * step + self._means.get(f"{method} overhead", DEFAULT_SECONDS["overhead"])

    def prompt_seconds(self, pictures: int) -> float:
        return pictures * self._means.get("picture", DEFAULT_SECONDS["picture"])

    def note_training(self, method: str, report: Mapping[str, Any]) -> None:
        seconds = report["seconds"]
        self._note(f"{method} step", report["seconds_per_step"])
        self._note(f"{method} overhead", sum(seconds.values()) - seconds["training"])

    def note_prompt(self, pictures: int, seconds: float) -> None:
        self._note("picture", seconds / pictures)

    def _note(self, name: str, value: float) -> None:
        before = self._means.get(name, value)
        self._means[name] = round(before + NEWEST_WEIGHT * (value - before), 4)
        with suppress(OSError):  # it is an estimate: work does not fail for it
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._means))
