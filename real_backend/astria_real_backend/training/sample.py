"""Draw pictures of a text."""

from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from astria_real_backend.config import SampleConfig
from astria_real_backend.training.adapters import put_on
from astria_real_backend.training.branches.schedulers import make_scheduler
from astria_real_backend.training.branches.sd15 import StableDiffusion15
from astria_real_backend.training.train import Report, Stopped

AT_ONCE = 4  # pictures of one call; each has a seed of its own, so that this changes none of them


def sample(branch: StableDiffusion15, config: SampleConfig, report: Report) -> list[Image.Image]:
    """Draw `config.pictures` pictures with the tunes that are named.

    Raises Stopped; the base is left as it was.
    """
    try:
        text = put_on(branch, config.adapters, config.prompt)
        return draw(branch, config, text, report)
    finally:
        branch.restore()


def draw(
    branch: StableDiffusion15, config: SampleConfig, text: str, report: Report
) -> list[Image.Image]:
    """Draw with what is upon the base now."""
    scheduler = make_scheduler(config.scheduler, branch.pipeline.scheduler.config)
    made: list[Image.Image] = []

    def after_step(pipeline: Any, step: int, _: Any, given: dict[str, Any]) -> dict[str, Any]:
        done = len(made) * config.steps + (step + 1) * min(AT_ONCE, config.pictures - len(made))
        total = config.steps * config.pictures
        if not report({"phase": "generating", "step": done, "steps": total}):
            raise Stopped
        return given

    pipeline = StableDiffusionPipeline(
        **{**branch.pipeline.components, "scheduler": scheduler}, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        told, told_not = (branch.text_states([one]) for one in (text, config.negative_prompt))
    while len(made) < config.pictures:
        first = config.seed + len(made)
        seeds = range(first, first + min(AT_ONCE, config.pictures - len(made)))
        with torch.no_grad(), branch.computing():
            latents = pipeline(
                prompt_embeds=told.repeat(len(seeds), 1, 1),
                negative_prompt_embeds=told_not.repeat(len(seeds), 1, 1),
                num_inference_steps=config.steps,
                guidance_scale=config.guidance_scale,
                width=config.width,
                height=config.height,
                generator=[torch.Generator().manual_seed(seed % 2**63) for seed in seeds],
                callback_on_step_end=after_step,
                output_type="latent",
            ).images
        made += branch.decode(latents)
    return made
