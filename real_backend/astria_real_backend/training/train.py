"""The training loop: it knows a branch and an objective, not a family."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from astria_real_backend.config import Recipe, TrainConfig
from astria_real_backend.training import checkpoint
from astria_real_backend.training.adapters import Group, Trainable
from astria_real_backend.training.branches.branch import Branch, Conditioning
from astria_real_backend.training.data import Batch, Examples
from astria_real_backend.training.objectives import Objective

# Takes progress such as {"phase": "training", "step": 10}; answers whether to go on.
Report = Callable[[Mapping[str, Any]], bool]

FIXED_BATCHES = 8  # of `fixed_noise_loss`
CHECKPOINT_SPACING = 3  # times as long as a checkpoint takes, until the next one
SMOOTHING_STEPS = 10  # of the mean loss in progress

Encode = Callable[[Sequence[str]], Conditioning]


class Stopped(Exception):
    """The work was asked to stop. Its last checkpoint stays."""


@dataclass(frozen=True)
class History:
    """losses: one a step, from the first; seconds: of the steps that this process did."""

    losses: list[float] = field(default_factory=list)
    resumed_at: int = 0
    seconds: float = 0.0


def train(
    branch: Branch,
    trainable: Trainable,
    examples: Examples,
    classes: Examples | None,
    config: TrainConfig,
    *,
    steps: int,
    folder: Path,
    digest: str,
    report: Report,
) -> History:
    """Train from the last checkpoint in `folder`, or from the start.

    classes: class pictures for prior preservation (Ruiz et al. 2022, arXiv:2208.12242), or None.
    digest: of the configuration; a checkpoint of another one is not resumed from.
    Raises Stopped.
    """
    recipe = config.recipe
    objective = branch.objective(snr_gamma=recipe.snr_gamma, noise_offset=recipe.noise_offset)
    optimizer = torch.optim.AdamW(
        [
            {"params": [*group.parameters.values()], "weight_decay": group.weight_decay}
            for group in trainable.groups.values()
        ],
        lr=0.0,
    )
    parameters = trainable.parameters
    encode = prompt_encoder(branch, trainable)
    saved = checkpoint.load(folder, digest, parameters, optimizer)
    history = History([*saved["losses"]] if saved else [], saved["step"] if saved else 0)
    started = saved_at = time.monotonic()
    saving_seconds = 0.0  # of the last checkpoint

    def save(step: int) -> None:
        updates = {name: float(optimizer.state[v].get("step", 0)) for name, v in parameters.items()}
        about = {"digest": digest, "step": step, "losses": history.losses, "updates": updates}
        checkpoint.save(folder, parameters, optimizer, about)

    for step in range(history.resumed_at, steps):
        for group, row in zip(trainable.groups.values(), optimizer.param_groups, strict=True):
            row["lr"] = group.rate * rate_factor(recipe, group, step, steps)
            if step >= group.until * steps:
                group.freeze()
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        batch = examples.batch(step, generator)
        loss = batch_loss(branch, objective, batch, encode, generator)
        if classes is not None:
            batch = classes.batch(step, generator)
            prior = batch_loss(branch, objective, batch, encode, generator)
            loss = loss + recipe.prior_weight * prior
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), recipe.clip)
        optimizer.step()
        trainable.after_step()
        history.losses.append(loss.item())
        if not math.isfinite(history.losses[-1]):
            raise FloatingPointError(f"the loss is no number at step {step + 1}")
        done, now = step + 1, time.monotonic()
        # Saving takes a bounded share of the time, however large a checkpoint is.
        is_due = (
            done % config.checkpoint_every == 0
            and now - saved_at > CHECKPOINT_SPACING * saving_seconds
        )
        if is_due and done < steps:
            save(done)
            saved_at = time.monotonic()
            saving_seconds = saved_at - now
        progress = progress_of(history, done, steps, now - started, recipe.batch)
        if not report({**progress, "memory_mb": peak_memory_mb(branch.device)}):
            raise Stopped
    return History(history.losses, history.resumed_at, time.monotonic() - started)


def rate_factor(recipe: Recipe, group: Group, step: int, steps: int) -> float:
    """What a group's learning rate is multiplied by at a step: warm-up, decay, zero when frozen."""
    if step >= group.until * steps:
        return 0.0
    warm = min(1.0, (step + 1) / max(1, min(recipe.warm_up, steps)))
    return warm * (
        0.5 + 0.5 * math.cos(math.pi * step / steps) if recipe.decay == "cosine" else 1.0
    )


def prompt_encoder(branch: Branch, trainable: Trainable) -> Encode:
    """The branch's encoding of captions, cached where no text encoder trains."""
    if trainable.trains_text:
        return branch.encode_prompts
    cache: dict[str, Conditioning] = {}

    def encode(captions: Sequence[str]) -> Conditioning:
        with torch.no_grad():
            for caption in captions:
                if caption not in cache:
                    cache[caption] = branch.encode_prompts([caption])
        return Conditioning.concatenate([cache[caption] for caption in captions])

    return encode


def batch_loss(
    branch: Branch,
    objective: Objective,
    batch: Batch,
    encode: Encode,
    generator: torch.Generator,
) -> Tensor:
    """The objective's loss of a batch, a scalar."""
    prompt_embeddings = encode(batch.captions)
    return objective.loss(
        lambda noisy, timesteps: branch.predict(noisy, timesteps, prompt_embeddings),
        batch.latents.to(branch.device), batch.weights, generator,
    )  # fmt: skip


@torch.no_grad()
def fixed_noise_loss(
    branch: Branch, examples: Examples, *, seed: int = 0, batches: int = FIXED_BATCHES
) -> float:
    """The mean loss of pictures with noise and timesteps that are always the same."""
    objective = branch.objective()
    total = 0.0
    for at in range(batches):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + at)
        batch = examples.batch(at, generator)
        total += batch_loss(branch, objective, batch, branch.encode_prompts, generator).item()
    return total / batches


def progress_of(
    history: History, done: int, steps: int, seconds: float, batch: int
) -> dict[str, Any]:
    """Progress to report: a mean loss; images/s and seconds left, of this process's steps."""
    here = max(1, done - history.resumed_at)
    recent = history.losses[-SMOOTHING_STEPS:]
    return {
        "phase": "training",
        "step": done,
        "steps": steps,
        "loss": round(sum(recent) / len(recent), 5),
        "images_per_second": round(here * batch / max(seconds, 1e-6), 2),
        "seconds_left": round(seconds / here * (steps - done), 1),
    }


def peak_memory_mb(device: torch.device) -> int:
    """The peak memory of this process: the GPU's where it uses one, else resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
