"""Stable Diffusion 1.5, and what has its shape: Rombach et al. 2022, arXiv:2112.10752.

All weights are kept in fp32; on a GPU they compute in bf16.
"""

import copy
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file
from torch import Tensor, nn

from astria_real_backend.config import BaseFiles

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")
CONVOLUTIONS = ("conv1", "conv2", "proj_in", "proj_out")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj")


class StableDiffusion15:
    """One base, loaded once and kept: what is put upon it is taken off again by `restore`."""

    unet_layers, convolution_layers, text_layers = ATTENTION, CONVOLUTIONS, TEXT

    def __init__(self, base: BaseFiles, device: str):
        self.base, self.device = base, torch.device(device)
        self.pipeline = load(base).to(self.device)
        self.pipeline.set_progress_bar_config(disable=True)
        for part in (self.unet, self.text_encoder, self.vae):
            part.eval().requires_grad_(False)
        self._tokenizer = self.pipeline.tokenizer
        self._embeddings = self.text_encoder.get_input_embeddings()
        self.loaded = self.fingerprint()
        # Of scheduled noise, on the CPU: (1000,)
        self.alphas: Tensor = self.pipeline.scheduler.alphas_cumprod.float().cpu()

    @property
    def unet(self) -> Any:
        return self.pipeline.unet

    @property
    def text_encoder(self) -> Any:
        return self.pipeline.text_encoder

    @property
    def vae(self) -> Any:
        return self.pipeline.vae

    def computing(self) -> AbstractContextManager[Any]:
        """The precision that the networks compute in."""
        on_gpu = self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=on_gpu)

    @torch.no_grad()
    def encode(self, pictures: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Mean and deviation of pictures' latents, scaled: (B, 4, h, w) each, on the CPU.

        pictures: uint8 (H, W, 3), of one size.
        """
        stack = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(self.device)
        found = self.vae.encode(stack.float() / 127.5 - 1).latent_dist
        scale = self.vae.config.scaling_factor
        mean, deviation = (value.float().cpu() * scale for value in (found.mean, found.std))
        return mean.contiguous(), deviation.contiguous()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> list[Any]:
        """Pillow's pictures of scaled latents; in fp32, whatever the networks compute in."""
        seen = self.vae.decode(latents.float() / self.vae.config.scaling_factor).sample
        found: list[Any] = self.pipeline.image_processor.postprocess(seen)
        return found

    def text_states(self, texts: Sequence[str]) -> Tensor:
        """What the U-Net is told: (B, 77, width)."""
        tokens = self.pipeline.tokenizer(
            list(texts), padding="max_length", truncation=True, return_tensors="pt",
            max_length=self.pipeline.tokenizer.model_max_length,
        )  # fmt: skip
        with self.computing():
            states: Tensor = self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state
        return states

    def predict(self, noisy: Tensor, times: Tensor, states: Tensor) -> Tensor:
        """The noise in latents, in fp32: (B, 4, h, w)."""
        with self.computing():
            seen: Tensor = self.unet(noisy, times, states).sample
        return seen.float()

    # -- what is put upon a base -------------------------------------------------------------------
    def add_words(self, names: Sequence[str], rows: Tensor) -> "NewWords":
        """Learn or use new words; rows: (len(names), width)."""
        self.pipeline.tokenizer = copy.deepcopy(self._tokenizer)
        added = self.pipeline.tokenizer.add_tokens(list(names))
        if added != len(names):
            raise ValueError(f"words {names}: some of them are known already")
        words = NewWords(self._embeddings, rows.to(self.device))
        self.text_encoder.set_input_embeddings(words)
        return words

    def restore(self) -> None:
        """Take off adapters and new words, and give the base its own weights again."""
        self.pipeline.unload_lora_weights()
        for part in (self.unet, self.text_encoder):
            part.requires_grad_(False)
        self.pipeline.tokenizer = self._tokenizer
        self.text_encoder.set_input_embeddings(self._embeddings)

    def fingerprint(self) -> int:
        """A number that changes with any bit of the base's own weights."""
        total = 0
        for part in (self.unet, self.text_encoder, self.vae):
            for name, value in part.named_parameters():
                if "lora_" not in name:
                    bits = value.detach().contiguous().view(torch.int32)
                    total = (total * 31 + int(bits.sum(dtype=torch.int64))) % 2**61
        return total


class NewWords(nn.Module):
    """Token embeddings: the vocabulary's, which stay as they are, and rows of new words."""

    def __init__(self, known: nn.Embedding, rows: Tensor):
        super().__init__()
        self.known = [known]  # within a list: not a part of this module
        self.rows = nn.Parameter(rows.clone())

    @property
    def weight(self) -> Tensor:
        return self.known[0].weight

    @torch.no_grad()
    def retract(self) -> None:
        """Give rows the vocabulary's mean length: trained freely they grow far beyond it."""
        usual = self.weight.norm(dim=1).mean()
        lengths = self.rows.norm(dim=1, keepdim=True)
        self.rows.mul_(usual / lengths)

    def forward(self, ids: Tensor) -> Tensor:
        known = self.known[0]
        count = known.num_embeddings
        old = known(ids.clamp(max=count - 1))
        new = self.rows[(ids - count).clamp(min=0)]
        return torch.where((ids >= count).unsqueeze(-1), new, old)


def load(base: BaseFiles) -> StableDiffusionPipeline:
    """A pipeline in fp32 from files here; only safetensors are read."""
    if base.checkpoint:
        return read_checkpoint(Path(base.checkpoint), base)
    return StableDiffusionPipeline.from_pretrained(
        base.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def read_checkpoint(file: Path, base: BaseFiles) -> StableDiffusionPipeline:
    """A single file as a pipeline; its configuration and tokenizer are the base's."""
    with tempfile.TemporaryDirectory() as folder:
        # diffusers goes by a file's name, and would unpickle one without this ending.
        named = Path(folder) / "checkpoint.safetensors"
        named.symlink_to(file.absolute())
        return StableDiffusionPipeline.from_single_file(
            str(named), config=base.folder, local_files_only=True, dtype=torch.float32,
            safety_checker=None, feature_extractor=None,
        )  # fmt: skip


def adapter_layers(branch: StableDiffusion15, *, convolutions: bool) -> list[str]:
    return [*branch.unet_layers, *(branch.convolution_layers if convolutions else ())]


def read_words(file: Path) -> Tensor:
    """The rows of new words: (n, width)."""
    [rows] = load_file(file).values()
    return rows.view(-1, rows.shape[-1])


def names_of_words(name: str, count: int) -> tuple[str, ...]:
    """What diffusers calls the words of one name."""
    return (name, *(f"{name}_{at}" for at in range(1, count)))


def be_quiet() -> None:
    """No bars and no hints of the libraries: what loads is ours to tell."""
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
