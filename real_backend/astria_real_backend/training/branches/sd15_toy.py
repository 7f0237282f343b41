"""The networks of SD1.5's toy base: the same blocks, with few and narrow layers.

The same blocks in the same order as in 1.5, so that whatever reads and writes its files reads and
writes these.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SCALING = 0.18215  # of latents, as in Stable Diffusion 1.5
TEXT_LENGTH = 77  # tokens
WIDTH = 64  # of a text embedding


def bytes_to_symbols() -> list[str]:
    """The 256 printable symbols that stand for bytes in CLIP's vocabulary (openai/CLIP)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    symbols = {byte: chr(byte) for byte in plain}
    symbols |= {byte: chr(256 + at) for at, byte in enumerate(rest)}
    return [symbols[byte] for byte in [*plain, *rest]]


def merges_for(words: Iterable[str]) -> list[tuple[str, str]]:
    """Merges in order of rank, by which each word becomes one token."""
    merges: list[tuple[str, str]] = []
    for word in words:
        while len(pieces := encode_word(word, merges)) > 1:
            merges.append((pieces[0], pieces[1]))
    return merges


def encode_word(word: str, merges: Sequence[tuple[str, str]]) -> list[str]:
    """A word's tokens."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    pieces = [*word[:-1], f"{word[-1]}</w>"]
    while pairs := [pair for pair in pairwise(pieces) if pair in ranks]:
        best = min(pairs, key=ranks.__getitem__)
        at = next(i for i in range(len(pieces) - 1) if (pieces[i], pieces[i + 1]) == best)
        pieces[at : at + 2] = ["".join(best)]
    return pieces


def make_tokenizer(words: Iterable[str], folder: Path) -> CLIPTokenizer:
    """A tokenizer that knows some words whole, and everything else by its bytes."""
    merges = merges_for(dict.fromkeys(words))
    symbols = bytes_to_symbols()
    pieces = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *map("".join, merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {piece: at for at, piece in enumerate(dict.fromkeys(pieces))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    return CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"),
        model_max_length=TEXT_LENGTH,
    )  # fmt: skip


def make_pipeline(tokenizer: CLIPTokenizer) -> StableDiffusionPipeline:
    """The pipeline with random weights; torch's seed decides them."""
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=TEXT_LENGTH,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64, 80, 80),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 48),
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=64,
        scaling_factor=SCALING,
    )
    # As in Stable Diffusion 1.5's scheduler_config.json.
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        clip_sample=False, set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def read_pipeline(folder: Path) -> StableDiffusionPipeline:
    """The pipeline of a folder, in fp32."""
    return StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)


def noise_schedule(pipeline: StableDiffusionPipeline) -> DDPMScheduler:
    """What adds a pipeline's own noise in training."""
    return DDPMScheduler.from_config(pipeline.scheduler.config)
