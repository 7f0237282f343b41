"""Downloads from the hub, without it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real_backend.model_folders import FILES, write_pipeline

# What else a repository on the hub may hold.
NOT_FETCHED = (
    "v1-5-pruned.safetensors", "v1-5-pruned.ckpt", "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors", "unet/model.onnx", "README.md",
    "unet/diffusion_pytorch_model.non_ema.safetensors", "safety_checker/model.safetensors",
    "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors", "vae_1_0/config.json",
    "text_encoder/flax_model.msgpack",
)  # fmt: skip
COMMIT = "1" * 40


def snapshot(cache: Path, *, ref: str | None = "main") -> Path:
    """The folder of org/mine in the hub's cache."""
    home = cache / "models--org--mine"
    if ref:
        (home / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (home / "refs" / ref).write_text(COMMIT)
    return home / "snapshots" / COMMIT


@dataclass
class Hub:
    """Stands for huggingface.co, with one model."""

    files: Sequence[str] = (*FILES, *NOT_FETCHED)
    error: Exception | None = None
    calls: list[Any] = field(default_factory=list)
    look_up: Callable[..., Any] = lambda *source, **more: None

    def download(
        self,
        source: str,
        *,
        revision: Any,
        cache_dir: Path | None,
        allow_patterns: Any = None,
        local_files_only: bool = False,
    ) -> str:
        from huggingface_hub import constants
        from huggingface_hub.utils import filter_repo_objects

        if local_files_only:
            return str(
                self.look_up(source, revision=revision, cache_dir=cache_dir, local_files_only=True)
            )
        self.calls.append((source, revision, cache_dir))
        if self.error:
            raise self.error
        names = filter_repo_objects(self.files, allow_patterns=allow_patterns)
        cache = cache_dir or Path(constants.HF_HUB_CACHE)
        folder = write_pipeline(snapshot(cache), without=FILES, more=names)
        return str(folder)
