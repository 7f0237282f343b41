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
from astria_real_backend.training.branches.sd15 import StableDiffusion15
from astria_real_backend.training.data import Batch, Examples
from astria_real_backend.training.objectives import Epsilon

# Takes progress such as {"phase": "training", "step": 10}; answers whether to go on.
Report = Callable[[Mapping[str, Any]], bool]

WATCHED = 8  # batches of the loss that is told before and after
KEEPING = 3  # times as long as a checkpoint takes, until the next one
SMOOTH = 10  # steps that the loss which is told is the mean of


class Stopped(Exception):
    """The work was asked to stop. What was kept stays."""


@dataclass(frozen=True)
class History:
    """losses: one a step; seconds: of the steps that were done here."""

    losses: list[float] = field(default_factory=list)
    began_at: int = 0
    seconds: float = 0.0


def train(
    branch: StableDiffusion15,
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

    classes: pictures of the class, which the base is to go on drawing as it did.
    Raises Stopped.
    """
    recipe = config.recipe
    objective = Epsilon(branch.alphas, recipe.snr_gamma, recipe.noise_offset)
    optimizer = torch.optim.AdamW(
        [
            {"params": [*group.parameters.values()], "weight_decay": group.weight_decay}
            for group in trainable.groups.values()
        ],
        lr=0.0,
    )
    parameters = trainable.parameters
    states = text_memory(branch, trainable)
    kept = checkpoint.load(folder, digest, parameters, optimizer)
    history = History([*kept["losses"]] if kept else [], kept["step"] if kept else 0)
    began = kept_at = time.monotonic()
    keeping = 0.0  # seconds that the last checkpoint took

    def keep(step: int) -> None:
        updates = {name: float(optimizer.state[v].get("step", 0)) for name, v in parameters.items()}
        about = {"digest": digest, "step": step, "losses": history.losses, "updates": updates}
        checkpoint.save(folder, parameters, optimizer, about)

    for step in range(history.began_at, steps):
        for group, row in zip(trainable.groups.values(), optimizer.param_groups, strict=True):
            row["lr"] = group.rate * share_of_rate(recipe, group, step, steps)
            if step >= group.until * steps:
                group.freeze()
        chance = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        loss = batch_loss(branch, objective, examples.batch(step, chance), states, chance)
        if classes is not None:
            prior = batch_loss(branch, objective, classes.batch(step, chance), states, chance)
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
        # To keep it takes a share of the time, however large it is.
        is_due = done % config.checkpoint_every == 0 and now - kept_at > KEEPING * keeping
        if is_due and done < steps:
            keep(done)
            kept_at = time.monotonic()
            keeping = kept_at - now
        progress = told(history, done, steps, now - began, recipe.batch)
        if not report({**progress, "memory_mb": peak_memory_mb(branch.device)}):
            raise Stopped
    return History(history.losses, history.began_at, time.monotonic() - began)


def share_of_rate(recipe: Recipe, group: Group, step: int, steps: int) -> float:
    """What a group's rate is multiplied by at a step: warm-up, decay, and the end of its share."""
    if step >= group.until * steps:
        return 0.0
    warm = min(1.0, (step + 1) / max(1, min(recipe.warm_up, steps)))
    return warm * (
        0.5 + 0.5 * math.cos(math.pi * step / steps) if recipe.decay == "cosine" else 1.0
    )


def text_memory(
    branch: StableDiffusion15, trainable: Trainable
) -> Callable[[Sequence[str]], Tensor]:
    """What the network is told of captions; remembered where the text encoder does not learn."""
    if trainable.trains_text:
        return branch.text_states
    known: dict[str, Tensor] = {}

    def states(captions: Sequence[str]) -> Tensor:
        with torch.no_grad():
            for caption in captions:
                if caption not in known:
                    known[caption] = branch.text_states([caption])
        return torch.cat([known[caption] for caption in captions])

    return states


def batch_loss(
    branch: StableDiffusion15,
    objective: Epsilon,
    batch: Batch,
    states: Callable[[Sequence[str]], Tensor],
    chance: torch.Generator,
) -> Tensor:
    told_of = states(batch.captions)
    return objective.loss(
        lambda noisy, times: branch.predict(noisy, times, told_of),
        batch.latents.to(branch.device), batch.weights, chance,
    )  # fmt: skip


@torch.no_grad()
def watched_loss(
    branch: StableDiffusion15, examples: Examples, *, seed: int = 0, batches: int = WATCHED
) -> float:
    """The loss of pictures with noise and times that are always the same."""
    objective = Epsilon(branch.alphas)
    total = 0.0
    for at in range(batches):
        chance = torch.Generator().manual_seed(seed * 1_000_003 + at)
        batch = examples.batch(at, chance)
        total += batch_loss(branch, objective, batch, branch.text_states, chance).item()
    return total / batches


def told(history: History, done: int, steps: int, seconds: float, batch: int) -> dict[str, Any]:
    """Progress as it is shown: the loss is a mean, images/s and seconds left are of these steps."""
    here = max(1, done - history.began_at)
    recent = history.losses[-SMOOTH:]
    return {
        "phase": "training",
        "step": done,
        "steps": steps,
        "loss": round(sum(recent) / len(recent), 5),
        "images_per_second": round(here * batch / max(seconds, 1e-6), 2),
        "seconds_left": round(seconds / here * (steps - done), 1),
    }


def peak_memory_mb(device: torch.device) -> int:
    """The most that this process has had: of the GPU's memory where it uses one, else of RAM."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
