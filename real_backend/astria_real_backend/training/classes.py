"""Pictures of a class, made by the base itself: what prior preservation holds on to.

Ruiz et al. 2022, arXiv:2208.12242. They are the same for all tunes of a base and class, so they are
made once and kept.
"""

import hashlib
import re
from pathlib import Path
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from astria_real_backend.config import SampleConfig, TrainConfig
from astria_real_backend.training.branches.sd15 import StableDiffusion15
from astria_real_backend.training.data import Example
from astria_real_backend.training.sample import sample
from astria_real_backend.training.train import Report, Stopped

SEED = 0
BATCH = 4


def class_examples(
    branch: StableDiffusion15, config: TrainConfig, folder: Path, report: Report
) -> list[Example]:
    """Latents of the class's pictures, from `folder` or made now and kept there.

    Raises Stopped; those that have been made stay.
    """
    wanted, prompt = config.recipe.prior_pictures, config.class_prompt
    place = folder / place_of(branch, config)
    place.mkdir(parents=True, exist_ok=True)
    made: list[Example] = []
    while len(made) < wanted:
        file = place / f"{len(made)}.safetensors"
        found = read(file)
        if found is None:
            if not report({"phase": "class pictures", "step": len(made), "steps": wanted}):
                raise Stopped
            count = min(BATCH, wanted - len(made))
            side = config.base.side
            asked = SampleConfig(
                config.base, prompt, "", SEED + len(made), count, side, side,
                config.recipe.prior_steps,
            )  # fmt: skip
            pictures = [np.asarray(one) for one in sample(branch, asked, report)]
            mean, deviation = branch.encode(pictures)
            found = {"mean": mean, "deviation": deviation}
            draft = file.with_suffix(f".{uuid4().hex}")  # others may make the same ones
            save_file(found, draft)
            draft.replace(file)
        pairs = zip(found["mean"], found["deviation"], strict=True)
        made += [Example(mean, deviation, (prompt,)) for mean, deviation in pairs]
    return made[:wanted]


def read(file: Path) -> dict[str, Tensor] | None:
    """Latents that were kept, unless they are broken."""
    try:
        return load_file(file)
    except (OSError, SafetensorError):
        return None


def place_of(branch: StableDiffusion15, config: TrainConfig) -> str:
    """A folder's name for a base's bits, a class and a recipe."""
    recipe = config.recipe
    told = f"{branch.loaded}/{config.subject}/{recipe.prior_steps}/{config.base.side}"
    plain = re.sub(r"\W+", "-", config.subject)[:20]
    return f"{plain}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
