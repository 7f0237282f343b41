"""Stable Diffusion 1.5, and what has its shape: Rombach et al. 2022, arXiv:2112.10752.

All weights are kept in fp32; on a GPU they compute in bf16.
"""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor

from astria_emulator import TempFolder
from astria_real_backend.config import BaseFiles, SampleConfig
from astria_real_backend.training.branches.branch import Branch, Conditioning
from astria_real_backend.training.branches.schedulers import make_scheduler
from astria_real_backend.training.branches.sd15_single_file import to_single_file
from astria_real_backend.training.branches.token_embeddings import AddedTokens, TokenEmbeddings
from astria_real_backend.training.objectives import Epsilon

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")
CONVOLUTIONS = ("conv1", "conv2", "proj_in", "proj_out")
TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
PROBE_TIMESTEP = 500


class StableDiffusion15:
    """A Branch of one U-Net, one CLIP text encoder and an autoencoder of 4 channels."""

    denoiser_name = "unet"

    def __init__(self, base: BaseFiles, device: str):
        self.base, self.device = base, torch.device(device)
        self.pipeline = load_pipeline(base).to(self.device)
        self.pipeline.set_progress_bar_config(disable=True)
        for network in self.networks.values():
            network.eval().requires_grad_(False)
        self._tokenizer = self.pipeline.tokenizer
        self._vocabulary = self.text_encoder.get_input_embeddings()
        self.loaded_fingerprint = self.fingerprint()
        # Cumulative products of the noise schedule, on the CPU: (1000,)
        self._alphas_cumprod: Tensor = self.pipeline.scheduler.alphas_cumprod.float().cpu()

    @property
    def unet(self) -> Any:
        return self.pipeline.unet

    @property
    def text_encoder(self) -> Any:
        return self.pipeline.text_encoder

    @property
    def vae(self) -> Any:
        return self.pipeline.vae

    @property
    def networks(self) -> Mapping[str, Any]:
        return networks_of(self.pipeline)

    @property
    def text_encoders(self) -> Mapping[str, Any]:
        return {"text_encoder": self.text_encoder}

    # -- training and sampling ---------------------------------------------------------------------
    def objective(self, *, snr_gamma: float = 5.0, noise_offset: float = 0.0) -> Epsilon:
        return Epsilon(self._alphas_cumprod, snr_gamma, noise_offset)

    def _precision(self) -> AbstractContextManager[Any]:
        """What the networks compute in."""
        on_gpu = self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=on_gpu)

    @torch.no_grad()
    def encode_pictures(self, pictures: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        stack = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(self.device)
        posterior = self.vae.encode(stack.float() / 127.5 - 1).latent_dist
        scale = self.vae.config.scaling_factor
        mean, deviation = (value.float().cpu() * scale for value in (posterior.mean, posterior.std))
        return mean.contiguous(), deviation.contiguous()

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> list[Any]:
        # In fp32, whatever the networks compute in.
        decoded = self.vae.decode(latents.float() / self.vae.config.scaling_factor).sample
        pictures: list[Any] = self.pipeline.image_processor.postprocess(decoded)
        return pictures

    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """States: (B, 77, width), of texts that are cut at 77 tokens."""
        tokens = self.pipeline.tokenizer(
            list(texts), padding="max_length", truncation=True, return_tensors="pt",
            max_length=self.pipeline.tokenizer.model_max_length,
        )  # fmt: skip
        with self._precision():
            states: Tensor = self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state
        return Conditioning(states)

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        with self._precision():
            prediction: Tensor = self.unet(noisy, timesteps, conditioning.states).sample
        return prediction.float()

    def generate(
        self,
        prompt: Conditioning,
        negative_prompt: Conditioning,
        *,
        seeds: Sequence[int],
        config: SampleConfig,
        after_step: Callable[[int], None],
    ) -> Tensor:
        scheduler = make_scheduler(config.scheduler, self.pipeline.scheduler.config)

        def callback(pipeline: Any, step: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            after_step(step + 1)
            return tensors

        pipeline = StableDiffusionPipeline(
            **{**self.pipeline.components, "scheduler": scheduler}, requires_safety_checker=False
        )
        pipeline.set_progress_bar_config(disable=True)
        with torch.no_grad(), self._precision():
            latents: Tensor = pipeline(
                prompt_embeds=prompt.states,
                negative_prompt_embeds=negative_prompt.states,
                num_inference_steps=config.steps,
                guidance_scale=config.guidance_scale,
                width=config.width,
                height=config.height,
                generator=[torch.Generator().manual_seed(seed % 2**63) for seed in seeds],
                callback_on_step_end=callback,
                output_type="latent",
            ).images
        return latents

    # -- adapters and new tokens -------------------------------------------------------------------
    def adapter_targets(self, *, convolutions: bool) -> Mapping[str, Sequence[str]]:
        unet = (*ATTENTION, *(CONVOLUTIONS if convolutions else ()))
        return {"unet": unet, "text_encoder": TEXT_ATTENTION}

    def load_adapter(self, file: Path, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys that a network does not have
            # Read here: diffusers goes by a file's name, and would unpickle one without an ending.
            self.pipeline.load_lora_weights(load_file(file), adapter_name=name)

    def merge_adapter(self, name: str) -> None:
        self.pipeline.fuse_lora(adapter_names=[name])
        self.pipeline.unload_lora_weights()

    def scale_adapters(self, scales: Mapping[str, float]) -> None:
        self.pipeline.set_adapters([*scales], [*scales.values()])

    def class_embeddings(self, text: str, count: int) -> Mapping[str, Tensor]:
        embeddings = self.text_encoder.get_input_embeddings()
        ids = self.pipeline.tokenizer(text, add_special_tokens=False).input_ids or [0]
        mean = embeddings.weight[ids].mean(0, keepdim=True)
        return {"text_encoder": mean.repeat(count, 1).detach()}

    def read_token_embeddings(self, file: Path) -> Mapping[str, Tensor]:
        [rows] = load_file(file).values()
        return {"text_encoder": rows.view(-1, rows.shape[-1])}

    def add_tokens(self, names: Sequence[str], rows: Mapping[str, Tensor]) -> AddedTokens:
        self.pipeline.tokenizer = copy.deepcopy(self._tokenizer)
        added = self.pipeline.tokenizer.add_tokens(list(names))
        if added != len(names):
            raise ValueError(f"tokens {names}: some of them are in the vocabulary already")
        embeddings = TokenEmbeddings(self._vocabulary, rows["text_encoder"].to(self.device))
        self.text_encoder.set_input_embeddings(embeddings)
        return AddedTokens(tuple(names), {"text_encoder": embeddings})

    def restore(self) -> None:
        self.pipeline.unload_lora_weights()
        for network in (self.unet, self.text_encoder):
            network.requires_grad_(False)
        self.pipeline.tokenizer = self._tokenizer
        self.text_encoder.set_input_embeddings(self._vocabulary)

    def fingerprint(self) -> int:
        total = 0
        for network in self.networks.values():
            for name, value in network.named_parameters():
                if "lora_" not in name:
                    bits = value.detach().contiguous().view(torch.int32)
                    total = (total * 31 + int(bits.sum(dtype=torch.int64))) % 2**61
        return total

    # -- files -------------------------------------------------------------------------------------
    def adapter_tensors(self, name: str) -> dict[str, Tensor]:
        """Under diffusers' names, as `load_lora_weights` reads them."""
        tensors: dict[str, Tensor] = {}
        for network in ("unet", "text_encoder"):
            module = self.networks[network]
            if name in (getattr(module, "peft_config", None) or {}):
                for key, value in get_peft_model_state_dict(module, adapter_name=name).items():
                    tensors[f"{network}.{key}"] = value.detach().cpu().contiguous()
        return tensors

    def token_tensors(self, tokens: AddedTokens) -> dict[str, Tensor]:
        """In diffusers' form: one name, with a row for each token."""
        rows = tokens.embeddings["text_encoder"].rows
        return {tokens.names[0]: rows.detach().cpu().clone()}

    def checkpoint_tensors(self) -> dict[str, Tensor]:
        return to_single_file(self.unet, self.vae, self.text_encoder)

    def probe(self, prompt: str) -> Tensor:
        with torch.no_grad():
            return probe_pipeline(self.pipeline, self.encode_prompts([prompt]).states.float())

    @torch.no_grad()
    def probe_files(self, files: Sequence[Path], prompt: str, tokens: Sequence[str]) -> Tensor:
        fresh = load_pipeline(self.base).to(self.device)
        fresh.load_lora_weights(str(files[0].parent), weight_name=files[0].name)
        if tokens:
            fresh.load_textual_inversion(str(files[1].parent), weight_name=files[1].name)
            # diffusers itself puts the other tokens behind the first.
            prompt = prompt.replace(" ".join(tokens), tokens[0])
        states, _ = fresh.encode_prompt(prompt, fresh.device, 1, False)
        return probe_pipeline(fresh, states)

    def read_checkpoint(self, file: Path) -> Mapping[str, Any]:
        return networks_of(load_pipeline(replace(self.base, checkpoint=str(file))))


def networks_of(pipeline: StableDiffusionPipeline) -> Mapping[str, Any]:
    """The networks with weights, in the order of `fingerprint`."""
    return {name: getattr(pipeline, name) for name in ("unet", "text_encoder", "vae")}


def probe_pipeline(pipeline: StableDiffusionPipeline, states: Tensor) -> Tensor:
    """What a pipeline predicts of noise that is always the same: (1, 4, h, w).

    states: (1, 77, width), of a text.
    """
    side = pipeline.unet.config.sample_size
    noisy = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(0))
    timestep = torch.tensor(PROBE_TIMESTEP)
    prediction: Tensor = pipeline.unet(noisy.to(pipeline.device), timestep, states).sample
    return prediction.float().cpu()


def load_pipeline(base: BaseFiles) -> StableDiffusionPipeline:
    """A pipeline in fp32 from local files; only safetensors are read."""
    if base.checkpoint:
        return read_single_file(Path(base.checkpoint), base)
    return StableDiffusionPipeline.from_pretrained(
        base.folder, local_files_only=True, use_safetensors=True, dtype=torch.float32,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def read_single_file(file: Path, base: BaseFiles) -> StableDiffusionPipeline:
    """A single file as a pipeline; its configuration and tokenizer are the base's."""
    folder = TempFolder("astria-real-")
    try:
        # diffusers goes by a file's name, and would unpickle one without this ending.
        named = folder.path / "checkpoint.safetensors"
        named.symlink_to(file.absolute())
        return StableDiffusionPipeline.from_single_file(
            str(named), config=base.folder, local_files_only=True, dtype=torch.float32,
            safety_checker=None, feature_extractor=None,
        )  # fmt: skip
    finally:
        folder.erase()


if TYPE_CHECKING:

    def _conforms(branch: StableDiffusion15) -> Branch:
        return branch
