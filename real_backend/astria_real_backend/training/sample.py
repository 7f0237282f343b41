"""Draw pictures of a text."""

from functools import partial

import torch
from PIL import Image

from astria_real_backend.config import SampleConfig
from astria_real_backend.training.adapters import apply_adapters
from astria_real_backend.training.branches.branch import Branch
from astria_real_backend.training.train import Report, Stopped

BATCH = 4  # pictures of one call; each has a seed of its own, so that this changes none of them


def sample(branch: Branch, config: SampleConfig, report: Report) -> list[Image.Image]:
    """Draw `config.pictures` pictures with the tunes that are named.

    Raises Stopped; the base is left as it was.
    """
    try:
        prompt = apply_adapters(branch, config.adapters, config.prompt)
        return draw(branch, config, prompt, report)
    finally:
        branch.restore()


def draw(branch: Branch, config: SampleConfig, prompt: str, report: Report) -> list[Image.Image]:
    """Draw with what is on the base now."""
    with torch.no_grad():
        prompt_embeddings, negative_embeddings = (
            branch.encode_prompts([text]) for text in (prompt, config.negative_prompt)
        )
    pictures: list[Image.Image] = []
    while len(pictures) < config.pictures:
        first = config.seed + len(pictures)
        count = min(BATCH, config.pictures - len(pictures))
        latents = branch.generate(
            prompt_embeddings.repeat(count),
            negative_embeddings.repeat(count),
            seeds=range(first, first + count),
            config=config,
            after_step=partial(_report_step, config, report, len(pictures), count),
        )
        pictures += branch.decode_latents(latents)
    return pictures


def _report_step(config: SampleConfig, report: Report, before: int, count: int, step: int) -> None:
    """Report a batch's step; `before`: pictures that are finished. Raises Stopped."""
    done = before * config.steps + step * count
    total = config.steps * config.pictures
    if not report({"phase": "generating", "step": done, "steps": total}):
        raise Stopped
