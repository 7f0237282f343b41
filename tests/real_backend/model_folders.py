"""Folders of models for tests."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from astria_real_backend.server_side.bases import Base

COMPONENTS = {
    "_class_name": "StableDiffusionPipeline",
    "requires_safety_checker": True,
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "image_encoder": [None, None],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}
UNET = "unet/diffusion_pytorch_model.safetensors"
FILES = (
    "scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder/model.safetensors",
    "tokenizer/vocab.json", "tokenizer/merges.txt", "unet/config.json", UNET,
)  # fmt: skip
Write = Callable[..., Path]


def write_pipeline(folder: Path, *, without: Sequence[str] = (), more: Iterable[str] = ()) -> Path:
    """A folder in diffusers' layout whose files are empty."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*(name for name in FILES if name not in without), *more]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "model_index.json").write_text(json.dumps(COMPONENTS))
    return folder


def base_at(source: Path | str, **more: Any) -> Base:
    return Base(7, "Mine", "sd15", str(source), side=512, **more)


ROW = 'tune_id = 9\ntitle = "Mine"\nfamily = "sd15"\nsource = "org/mine"\n'
