"""What the operator says of the real backend: `--backend-options NAME=VALUE,...`."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from astria_emulator import SetupError

GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Settings:
    """devices: one child each, joined by +; `auto` takes every GPU here, or the CPU.

    limit_minutes: of one training; a prompt has a fourth of it. tries: how often a job whose
    process was lost begins. most_steps: of any training and any prompt, 0 for as many as its
    recipe says.
    """

    models: str = ""  # a TOML file of base models
    toy: bool = False  # whether the bundled toy base is what sd15 trains on
    devices: str = "auto"
    threads: int = 1  # of a child on the CPU; the toy base gains nothing from more
    tries: int = 3
    limit_minutes: float = 60.0
    checkpoint_steps: int = 25  # between two checkpoints of a training
    most_steps: int = 0
    restorer: str = ""  # MODULE:FUNCTION for training_face_correct
    folder: str = ""  # of checkpoints and class pictures; by default within --data

    @property
    def device_names(self) -> tuple[str, ...]:
        if self.devices != "auto":
            return tuple(self.devices.split("+"))
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        count = len(list(GPUS.glob("*")))
        if visible is not None:
            count = min(count, len([one for one in visible.split(",") if one.strip()]))
        return tuple(f"cuda:{at}" for at in range(count)) or ("cpu",)


def read_settings(pairs: Sequence[str]) -> Settings:
    """Raises SetupError with all that is wrong."""
    known = {field.name.replace("_", "-"): field for field in fields(Settings)}
    values: dict[str, Any] = {}
    problems = []
    for pair in pairs:
        name, has_value, text = pair.partition("=")
        if name not in known or not has_value:
            problems.append(f"{pair!r}: expected NAME=VALUE with one of {', '.join(known)}")
            continue
        field = known[name]
        kind = type(field.default)
        try:
            values[field.name] = _read(text, kind)
        except ValueError:
            problems.append(f"{name} {text!r}: expected {kind.__name__}")
    settings = Settings(**values)
    positive = ("threads", "tries", "limit_minutes", "checkpoint_steps")
    problems += [
        f"{name.replace('_', '-')} {getattr(settings, name):g}: expected more than 0"
        for name in positive
        if not getattr(settings, name) > 0
    ]
    for name in settings.device_names:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            problems.append(f"devices {name!r}: expected auto, cpu or cuda:N")
    if settings.most_steps < 0:
        problems.append(f"most-steps {settings.most_steps}: expected 0 or more")
    if settings.restorer and not re.fullmatch(r"[\w.]+:\w+", settings.restorer):
        problems.append(f"restorer {settings.restorer!r}: expected MODULE:FUNCTION")
    if problems:
        raise SetupError("--backend-options", problems)
    return settings


def _read(text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    return kind(text)
