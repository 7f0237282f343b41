"""Train the toy base from nothing: `python -m astria_real_backend.toys.make --out FOLDER`.

First the autoencoder learns to encode pictures as latents, then the text encoder and the U-Net
learn together to draw them from captions: shapes first, and colours in a second pass. What it took
is written to recipe.json beside them.
"""

import copy
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor
from tqdm import tqdm

from astria_real_backend.toys.draw import WORDS, Scene, caption, draw, random_scene, texture
from astria_real_backend.training.branches.sd15_toy import (
    SCALING,
    make_pipeline,
    make_tokenizer,
    noise_schedule,
    read_pipeline,
)

SEED = 1
KL_WEIGHT = 1e-6  # Rombach et al. 2022, arXiv:2112.10752, appendix G
SNR_GAMMA = 5.0  # Hang et al. 2023, arXiv:2303.09556
DROPOUT = 0.1  # of captions; Ho and Salimans 2022, arXiv:2207.12598
WEIGHT_AVERAGE = 0.999
BATCH = 24
NOISE_OFFSET = 0.4


def to_tensor(pictures: Sequence[Any]) -> Tensor:
    """Pillow's pictures as (B, 3, H, W) from -1 to 1."""
    stack = np.stack([np.asarray(picture, dtype=np.float32) for picture in pictures])
    return torch.from_numpy(stack).permute(0, 3, 1, 2) / 127.5 - 1


def rate_schedule(optimizer: Any, steps: int, warm_up: int = 100) -> Any:
    """Linear warm-up, then half a cosine down to nothing."""

    def rate(step: int) -> float:
        return min((step + 1) / warm_up, 0.5 + 0.5 * float(np.cos(np.pi * step / steps)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def train_autoencoder(vae: Any, random: Random, steps: int, batch: int) -> float:
    """Train on reconstruction, a fourth of it of textures. Returns the last mean error."""
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1.5e-3, betas=(0.9, 0.99), weight_decay=0.0)
    rates, errors = rate_schedule(optimizer, steps), []
    for _ in tqdm(range(steps), desc="autoencoder", mininterval=5):
        pictures = to_tensor([
            texture(random) if at % 4 == 3 else draw(random_scene(random)) for at in range(batch)
        ])  # fmt: skip
        posterior = vae.encode(pictures).latent_dist
        decoded = vae.decode(posterior.sample()).sample
        error = (decoded - pictures).abs().mean()
        edges = sum((decoded.diff(dim=d) - pictures.diff(dim=d)).abs().mean() for d in (2, 3))
        loss = (
            error + edges + (decoded - pictures).square().mean() + KL_WEIGHT * posterior.kl().mean()
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        rates.step()
        errors.append(error.item())
    return float(np.mean(errors[-100:]))


@torch.no_grad()
def fold_scale(vae: Any, scenes: Sequence[Scene]) -> None:
    """Scale latents to a standard deviation of 1 / SCALING, within the weights."""
    means = vae.encode(to_tensor([draw(scene) for scene in scenes])).latent_dist.mean
    factor = 1 / (SCALING * means.std())
    half = vae.quant_conv.weight.shape[0] // 2
    vae.quant_conv.weight[:half] *= factor
    vae.quant_conv.bias[:half] *= factor
    vae.quant_conv.bias[half:] += 2 * factor.log()  # the log of the variance
    vae.post_quant_conv.weight /= factor


@torch.no_grad()
def encode_all(vae: Any, scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every scene's latents, (N, 4, 16, 16) each."""
    posteriors = []
    for at in tqdm(range(0, len(scenes), 64), desc="latents", mininterval=5):
        pictures = to_tensor([draw(scene) for scene in scenes[at : at + 64]])
        posteriors.append(vae.encode(pictures).latent_dist)
    return torch.cat([one.mean for one in posteriors]), torch.cat([one.std for one in posteriors])


def batches(size: int, count: int) -> Iterator[Tensor]:
    """Endless batches of indices below `count`, each once an epoch."""
    while True:
        yield from torch.randperm(count)[: count - count % size].split(size)


def train_denoiser(
    pipeline: Any,
    scenes: Sequence[Scene],
    random: Random,
    *,
    steps: int,
    rate: float,
    noise_offset: float,
) -> float:
    """Learn to draw from captions; weights become a running mean. Returns the last mean loss.

    noise_offset: crosslabs.org, 2023-01-30. Without it a flat colour shows through any noise, and
    the captions' colours would not be learned.
    """
    unet, text_encoder = pipeline.unet.train(), pipeline.text_encoder.train()
    means, deviations = encode_all(pipeline.vae, scenes)
    schedule = noise_schedule(pipeline)
    snr = schedule.alphas_cumprod / (1 - schedule.alphas_cumprod)
    both = torch.nn.ModuleList([unet, text_encoder])
    average = copy.deepcopy(both).requires_grad_(False)
    optimizer = torch.optim.AdamW(both.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-3)
    rates, losses = rate_schedule(optimizer, steps), []
    batch_indices = batches(BATCH, len(scenes))
    for step in tqdm(range(steps), desc="denoiser", mininterval=5):
        chosen = next(batch_indices)
        texts = [
            "" if random.random() < DROPOUT else caption(scenes[at], random)
            for at in chosen.tolist()
        ]
        tokens = pipeline.tokenizer(
            texts, padding="max_length", truncation=True, return_tensors="pt"
        )
        latents = SCALING * (
            means[chosen] + deviations[chosen] * torch.randn(BATCH, *means.shape[1:])
        )
        noise = torch.randn_like(latents) + noise_offset * torch.randn(BATCH, 4, 1, 1)
        timesteps = torch.randint(0, 1000, (BATCH,))
        noisy = schedule.add_noise(latents, noise, timesteps)
        prediction = unet(noisy, timesteps, text_encoder(tokens.input_ids).last_hidden_state).sample
        weights = snr[timesteps].clamp(max=SNR_GAMMA) / snr[timesteps]
        loss = (F.mse_loss(prediction, noise, reduction="none").mean((1, 2, 3)) * weights).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        rates.step()
        keep = min(WEIGHT_AVERAGE, (step + 1) / (step + 10))
        torch._foreach_lerp_([*average.parameters()], [*both.parameters()], 1 - keep)
        losses.append(loss.item())
    both.load_state_dict(average.state_dict())
    return float(np.mean(losses[-200:]))


class PassLog:
    """The seed, figures and time of each pass, in recipe.json."""

    def __init__(self, out: Path, threads: int):
        self._path, self._threads = out / "recipe.json", threads

    def begin(self, seed: int) -> Random:
        torch.set_num_threads(self._threads)
        torch.manual_seed(seed)
        self._seed, self._began, self._cpu = seed, time.time(), time.process_time()
        return Random(seed)  # noqa: S311 - no secret

    def end(self, name: str, **figures: Any) -> None:
        log = json.loads(self._path.read_text()) if self._path.exists() else {}
        log[name] = {
            "seed": self._seed,
            **{key: round(value, 4) for key, value in figures.items()},
            "seconds": round(time.time() - self._began),
            "cpu_seconds": round(time.process_time() - self._cpu),
            "threads": self._threads,
            "torch": torch.__version__,
        }
        self._path.write_text(json.dumps(log, indent=1) + "\n")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--autoencoder-steps", default=2600, show_default=True)
@click.option("--shape-steps", default=6000, show_default=True)
@click.option("--colour-steps", default=2500, show_default=True)
@click.option("--pictures", default=16_000, show_default=True, help="To learn to draw from.")
@click.option("--threads", default=2, show_default=True)
@click.option("--colours-only", is_flag=True, help="The folder has learned shapes already.")
def main(
    out: Path, autoencoder_steps: int, shape_steps: int, colour_steps: int, pictures: int,
    threads: int, colours_only: bool,
) -> None:  # fmt: skip
    """Train the toy base from nothing."""
    passes = PassLog(out, threads)
    if not colours_only:
        random = passes.begin(SEED)
        pipeline = make_pipeline(make_tokenizer(WORDS, out / "tokenizer"))
        scenes = [random_scene(random) for _ in range(pictures)]
        error = train_autoencoder(pipeline.vae, random, autoencoder_steps, batch=8)
        pipeline.vae.eval().requires_grad_(False)
        fold_scale(pipeline.vae, scenes[:512])
        loss = train_denoiser(
            pipeline, scenes, random, steps=shape_steps, rate=2e-3, noise_offset=0.0
        )
        pipeline.to(dtype=torch.float16).save_pretrained(out)
        figures = {"autoencoder_steps": autoencoder_steps, "mean_error": error}
        passes.end("shapes", **figures, steps=shape_steps, pictures=pictures, loss=loss)
    random = passes.begin(SEED + 1)
    pipeline = read_pipeline(out)
    pipeline.vae.eval().requires_grad_(False)
    scenes = [random_scene(random) for _ in range(pictures)]
    loss = train_denoiser(
        pipeline, scenes, random, steps=colour_steps, rate=1e-3, noise_offset=NOISE_OFFSET
    )
    pipeline.to(dtype=torch.float16).save_pretrained(out)
    passes.end("colours", steps=colour_steps, pictures=pictures, loss=loss)


if __name__ == "__main__":
    main()
