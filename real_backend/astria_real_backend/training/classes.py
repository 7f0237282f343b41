"""Class pictures for prior preservation, drawn by the base itself.

Ruiz et al. 2022, arXiv:2208.12242. They are the same for all tunes of a base and class, so they are
drawn once and kept.
"""

import hashlib
import re
from pathlib import Path
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from astria_emulator import move
from astria_real_backend.config import SampleConfig, TrainConfig
from astria_real_backend.training.branches.branch import Branch
from astria_real_backend.training.data import Example
from astria_real_backend.training.sample import sample
from astria_real_backend.training.train import Report, Stopped

SEED = 0
BATCH = 4


def class_examples(
    branch: Branch, config: TrainConfig, folder: Path, report: Report
) -> list[Example]:
    """Latents of the class pictures, from `folder` or drawn now and kept there.

    Raises Stopped; those that have been drawn stay.
    """
    total, prompt = config.recipe.prior_pictures, config.class_prompt
    cache = folder / cache_name(branch, config)
    cache.mkdir(parents=True, exist_ok=True)
    examples: list[Example] = []
    while len(examples) < total:
        file = cache / f"{len(examples)}.safetensors"
        latents = read(file)
        if latents is None:
            if not report({"phase": "class pictures", "step": len(examples), "steps": total}):
                raise Stopped
            count = min(BATCH, total - len(examples))
            side = config.base.side
            request = SampleConfig(
                base=config.base, prompt=prompt, seed=SEED + len(examples), pictures=count,
                width=side, height=side, steps=config.recipe.prior_steps,
            )  # fmt: skip
            pictures = [np.asarray(one) for one in sample(branch, request, report)]
            mean, deviation = branch.encode_pictures(pictures)
            latents = {"mean": mean, "deviation": deviation}
            draft = file.with_suffix(f".{uuid4().hex}")  # others may draw the same ones
            save_file(latents, draft)
            move(draft, file)
        pairs = zip(latents["mean"], latents["deviation"], strict=True)
        examples += [Example(mean, deviation, (prompt,)) for mean, deviation in pairs]
    return examples[:total]


def read(file: Path) -> dict[str, Tensor] | None:
    """Latents that were kept, or None where they are missing or broken."""
    try:
        return load_file(file)
    except (OSError, SafetensorError):
        return None


def cache_name(branch: Branch, config: TrainConfig) -> str:
    """A folder's name for a base's bits, a class and a recipe."""
    recipe = config.recipe
    key = f"{branch.loaded_fingerprint}/{config.subject}/{recipe.prior_steps}/{config.base.side}"
    plain = re.sub(r"\W+", "-", config.subject)[:20]
    return f"{plain}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
