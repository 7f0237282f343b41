"""What a training leaves: files, each read again and compared before it counts."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from astria_real_backend.config import BaseFiles
from astria_real_backend.training.adapters import SUBJECT, Trainable
from astria_real_backend.training.branches.sd15 import StableDiffusion15, load
from astria_real_backend.training.branches.sd15_single_file import save_single_file, to_single_file

TOLERANCE = 1e-5  # of predictions of about 1
ADAPTER, WORDS, CHECKPOINT = (
    "adapter.safetensors",
    "words.safetensors",
    "checkpoint-fp16.safetensors",
)


class NotTheSame(Exception):
    """What was read again differs from what was trained."""


@torch.no_grad()
def prediction(pipeline: StableDiffusionPipeline, states: Tensor) -> Tensor:
    """What a pipeline predicts of noise that is always the same: (1, 4, h, w).

    states: (1, 77, width), of a text.
    """
    side = pipeline.unet.config.sample_size
    noisy = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(0))
    seen: Tensor = pipeline.unet(noisy.to(pipeline.device), torch.tensor(500), states).sample
    return seen.float().cpu()


def write(
    branch: StableDiffusion15, trainable: Trainable, folder: Path, metadata: Mapping[str, str]
) -> list[Path]:
    """Write the files of a tune: an adapter, and its words if any, or a checkpoint.

    Raises OSError.
    """
    about = {**metadata, "format": "pt"}
    if trainable.spoils_base:
        tensors = to_single_file(branch.unet, branch.vae, branch.text_encoder)
        save_single_file(folder / CHECKPOINT, tensors, about)
        return [folder / CHECKPOINT]
    save_file(adapter_tensors(branch), folder / ADAPTER, about)
    if trainable.words is None:
        return [folder / ADAPTER]
    # diffusers' form: one name, with a row for each word.
    words = {trainable.word_names[0]: trainable.words.rows.detach().cpu().clone()}
    save_file(words, folder / WORDS, about)
    return [folder / ADAPTER, folder / WORDS]


def adapter_tensors(branch: StableDiffusion15) -> dict[str, Tensor]:
    """An adapter under diffusers' names, as `load_lora_weights` reads them."""
    found: dict[str, Tensor] = {}
    for prefix, part in (("unet", branch.unet), ("text_encoder", branch.text_encoder)):
        if SUBJECT in (getattr(part, "peft_config", None) or {}):
            state = get_peft_model_state_dict(part, adapter_name=SUBJECT)
            for name, value in state.items():
                found[f"{prefix}.{name}"] = value.detach().cpu().contiguous()
    return found


@torch.no_grad()
def verify(
    branch: StableDiffusion15, trainable: Trainable, files: list[Path], base: BaseFiles
) -> float:
    """Read files as diffusers does, in a fresh pipeline of the base; returns the difference.

    A checkpoint's weights must be those that were trained, but for the rounding to fp16; with an
    adapter and its words the prediction for their text must be the same.
    Raises NotTheSame.
    """
    if trainable.spoils_base:
        fresh = load(replace(base, checkpoint=str(files[0])))
        for name in ("unet", "text_encoder", "vae"):
            compare_weights(name, getattr(branch.pipeline, name), getattr(fresh, name))
        return 0.0
    fresh = load(base).to(branch.device)
    fresh.load_lora_weights(str(files[0].parent), weight_name=files[0].name)
    prompt = trainable.prompt
    if trainable.words is not None:
        fresh.load_textual_inversion(str(files[1].parent), weight_name=files[1].name)
        # diffusers itself puts the other words behind the first.
        prompt = prompt.replace(" ".join(trainable.word_names), trainable.word_names[0])
    states, _ = fresh.encode_prompt(prompt, fresh.device, 1, False)
    trained = prediction(branch.pipeline, branch.text_states([trainable.prompt]).float())
    difference = (prediction(fresh, states) - trained).abs().max().item()
    if not difference <= TOLERANCE:
        raise NotTheSame(f"read again it differs by {difference:.3g}, more than {TOLERANCE:g}")
    return difference


def compare_weights(name: str, trained: nn.Module, read: nn.Module) -> None:
    """Raises NotTheSame unless they are equal in fp16."""
    found = read.state_dict()
    for key, value in trained.state_dict().items():
        if not torch.equal(found[key].half().cpu(), value.half().cpu()):
            raise NotTheSame(f"read again, {name}.{key} differs")


def metadata_of(file: Path) -> dict[str, str]:
    """What a file says of itself."""
    with safe_open(file, framework="pt") as opened:
        return dict(opened.metadata() or {})


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
