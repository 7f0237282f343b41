"""How long work takes here, as it was measured: what `eta` is made of."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

# Until there is a measurement: of the toy base on two cores.
GUESSED = {"step": 0.25, "overhead": 10.0, "picture": 2.0}
NEWEST = 0.5  # the share that the newest measurement has


class Speeds:
    """Running means, kept in a file."""

    def __init__(self, path: Path):
        self._path = path
        self._known: dict[str, float] = {}
        with suppress(OSError, ValueError, AttributeError, TypeError):
            self._known = {k: float(v) for k, v in json.loads(path.read_text()).items()}

    def train_seconds(self, method: str, steps: int) -> float:
        step = self._known.get(f"{method} step", GUESSED["step"])
        return steps * step + self._known.get(f"{method} overhead", GUESSED["overhead"])

    def prompt_seconds(self, pictures: int) -> float:
        return pictures * self._known.get("picture", GUESSED["picture"])

    def note_training(self, method: str, report: Mapping[str, Any]) -> None:
        seconds = report["seconds"]
        self._note(f"{method} step", report["seconds_per_step"])
        self._note(f"{method} overhead", sum(seconds.values()) - seconds["training"])

    def note_prompt(self, pictures: int, seconds: float) -> None:
        self._note("picture", seconds / pictures)

    def _note(self, name: str, value: float) -> None:
        before = self._known.get(name, value)
        self._known[name] = round(before + NEWEST * (value - before), 4)
        with suppress(OSError):  # it is an estimate: work does not fail for it
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._known))
