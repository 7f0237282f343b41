"""The Branch protocol: what training, sampling and export ask of a family of models.

A family implements it in a module of its own, and one row of `BRANCHES` names it. Everything that
differs between families is behind it: text encoders, shapes of latents, the objective, schedulers,
modules that take adapters, and names of weights in files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from astria_real_backend.config import BaseFiles, SampleConfig
from astria_real_backend.training.branches.token_embeddings import AddedTokens
from astria_real_backend.training.objectives import Objective


@dataclass(frozen=True)
class Conditioning:
    """What a denoiser is conditioned on, for B texts.

    states: (B, tokens, width), the hidden states of a text encoder, or of several joined along
    their width (SDXL: Podell et al. 2023, arXiv:2307.01952).
    pooled: (B, width), an embedding of each whole text, for families that use one (SDXL, Flux).
    """

    states: Tensor
    pooled: Tensor | None = None

    @staticmethod
    def concatenate(parts: Sequence["Conditioning"]) -> "Conditioning":
        """The conditionings of several batches as one batch, in their order."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        states = torch.cat([part.states for part in parts])
        return Conditioning(states, torch.cat(pooled) if pooled else None)

    def repeat(self, count: int) -> "Conditioning":
        """The conditioning of one text, (1, ...), for `count` pictures."""
        pooled = None if self.pooled is None else self.pooled.repeat(count, 1)
        return Conditioning(self.states.repeat(count, 1, 1), pooled)


class Branch(Protocol):
    """One base model, loaded once: `restore` takes off whatever was put on it.

    A branch is made of `(base: BaseFiles, device: str)` from local safetensors files alone, with
    all weights in fp32, in evaluation mode and without gradients.

    base: the files it was loaded from. device: where its networks are.
    loaded_fingerprint: `fingerprint()` as it was after loading.
    denoiser_name: the denoiser's name among `networks`, such as `unet` or `transformer`. Names of
    networks are those of the component folders in diffusers' layout; checkpoints keep them.
    """

    base: BaseFiles
    device: torch.device
    loaded_fingerprint: int
    denoiser_name: str

    @property
    def networks(self) -> Mapping[str, Any]:
        """Every network with weights, an nn.Module each: denoiser, text encoders, autoencoder."""
        ...

    @property
    def text_encoders(self) -> Mapping[str, Any]:
        """Those of `networks` that read text, in the order in which they are trained."""
        ...

    # -- training and sampling ---------------------------------------------------------------------
    def objective(self, *, snr_gamma: float = 5.0, noise_offset: float = 0.0) -> Objective:
        """What `predict` is trained to return: noise, velocity, or the flow from data to noise.

        snr_gamma: bound of min-SNR (Hang et al. 2023, arXiv:2303.09556), where noise is scheduled.
        """
        ...

    def encode_pictures(self, pictures: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of pictures' latents, scaled to about unit variance.

        pictures: uint8 (H, W, 3), all of one size. Both: fp32 (B, C, h, w) on the CPU. A family
        whose denoiser takes packed latents (Flux) packs them within `predict`.
        """
        ...

    def decode_latents(self, latents: Tensor) -> list[Any]:
        """Pillow's pictures of scaled latents (B, C, h, w)."""
        ...

    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """What the denoiser is conditioned on; gradients reach the text encoders that train."""
        ...

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's prediction in fp32, (B, C, h, w), as `objective` defines it.

        noisy: (B, C, h, w); timesteps: (B,), as the objective draws them. What else a denoiser
        takes (SDXL's time ids, Flux's position ids and guidance) follows from the latents' shape.
        """
        ...

    def generate(
        self,
        prompt: Conditioning,
        negative_prompt: Conditioning,
        *,
        seeds: Sequence[int],
        config: SampleConfig,
        after_step: Callable[[int], None],
    ) -> Tensor:
        """Sample scaled latents (B, C, h, w), one for each seed, with what is on the base now.

        prompt, negative_prompt: of B texts. Of `config`: steps, guidance_scale, width and height
        in pixels, and the scheduler by the API's name; a family that has none of that name takes
        its own. `after_step` is called with the number of steps done, from 1; what it raises ends
        the sampling and is passed on.
        """
        ...

    # -- adapters and new tokens -------------------------------------------------------------------
    def adapter_targets(self, *, convolutions: bool) -> Mapping[str, Sequence[str]]:
        """Ends of names of the modules that adapters go into, by network.

        convolutions: whether those of the denoiser take adapters too.
        """
        ...

    def load_adapter(self, file: Path, name: str) -> None:
        """Put a LoRA's file on the base, under a name.

        Raises ValueError where nothing in it fits.
        """
        ...

    def merge_adapter(self, name: str) -> None:
        """Add an adapter's weights to the base's own, and take the adapter off."""
        ...

    def scale_adapters(self, scales: Mapping[str, float]) -> None:
        """Use these adapters, by name, each multiplied by its scale."""
        ...

    def class_embeddings(self, text: str, count: int) -> Mapping[str, Tensor]:
        """Where `count` new tokens start: the mean of a text's token embeddings.

        By text encoder: (count, width).
        """
        ...

    def read_token_embeddings(self, file: Path) -> Mapping[str, Tensor]:
        """The embeddings in a file of new tokens, by text encoder: (n, width)."""
        ...

    def add_tokens(self, names: Sequence[str], rows: Mapping[str, Tensor]) -> AddedTokens:
        """Add new tokens to the tokenizers, with their embeddings by text encoder: (n, width).

        Raises ValueError where a name is in the vocabulary already.
        """
        ...

    def restore(self) -> None:
        """Take off adapters and new tokens, and stop gradients. Merged adapters stay."""
        ...

    def fingerprint(self) -> int:
        """A number that changes with any bit of the base's own weights."""
        ...

    # -- files -------------------------------------------------------------------------------------
    def adapter_tensors(self, name: str) -> dict[str, Tensor]:
        """An adapter's weights on the CPU, under the names that other tools read."""
        ...

    def token_tensors(self, tokens: AddedTokens) -> dict[str, Tensor]:
        """New tokens' embeddings on the CPU, under the names that other tools read."""
        ...

    def checkpoint_tensors(self) -> dict[str, Tensor]:
        """All weights under the single-file names of the family; they share memory with it.

        Raises ValueError for weights without such a name.
        """
        ...

    def probe(self, prompt: str) -> Tensor:
        """The prediction of fixed noise for a text: fp32 (1, C, h, w) on the CPU."""
        ...

    def probe_files(self, files: Sequence[Path], prompt: str, tokens: Sequence[str]) -> Tensor:
        """As `probe`, by a fresh copy of the base that reads files as users' tools read them.

        files: an adapter, and its new tokens if any. tokens: the names of these, in the prompt.
        """
        ...

    def read_checkpoint(self, file: Path) -> Mapping[str, Any]:
        """The networks of a single file, by the names of `networks`."""
        ...
