"""Checkpoints of a training: resuming from one equals not having stopped.

One safetensors file: the parameters, the optimiser's state and the step. No random state is saved:
each step has a generator of its own, seeded by the seed and the step's number.
"""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from astria_emulator import erase, move

NAME = "checkpoint.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")


def save(
    folder: Path,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    about: Mapping[str, Any],
) -> None:
    """Replace the checkpoint in one step: a reader finds the former one or this one, whole.

    about: what JSON can hold, `digest` of the configuration, `step` and more.
    Raises OSError, such as that of a full disk; the former one stays.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in parameters.items():
        tensors[f"value/{name}"] = value.detach().cpu().contiguous()
        for moment in MOMENTS:
            if (saved := optimizer.state[value].get(moment)) is not None:
                tensors[f"{moment}/{name}"] = saved.cpu().contiguous()
    draft = folder / f"{NAME}.{uuid4().hex}"
    try:
        save_file(tensors, draft, metadata={"about": json.dumps(dict(about))})
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        move(draft, folder / NAME)
    except (OSError, SafetensorError) as error:
        erase(draft)
        number = getattr(error, "errno", None) or errno.ENOSPC  # safetensors tells the text alone
        raise OSError(number, f"the checkpoint could not be written: {error}") from error


def load(
    folder: Path,
    digest: str,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> Mapping[str, Any] | None:
    """Resume from this configuration's checkpoint, if there is one; returns its `about`."""
    path = folder / NAME
    try:
        with safe_open(path, framework="pt") as file:
            about: Mapping[str, Any] = json.loads(file.metadata()["about"])
            names = {key.partition("/")[2] for key in file.keys()}  # noqa: SIM118 - no mapping
            if about["digest"] != digest or names != set(parameters):
                return None
            with torch.no_grad():
                for name, value in parameters.items():
                    value.copy_(file.get_tensor(f"value/{name}"))
            known = set(file.keys())
            for name, value in parameters.items():
                if f"{MOMENTS[0]}/{name}" in known:
                    moments = {m: file.get_tensor(f"{m}/{name}").to(value.device) for m in MOMENTS}
                    step = torch.tensor(float(about["updates"][name]))
                    optimizer.state[value] = {"step": step, **moments}
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    return about
