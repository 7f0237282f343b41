"""A Stable Diffusion 1.5 pipeline as one file under CompVis' names, which other tools read.

Tables of (diffusers' name, original name) rename modules. On the left `{i}` is a level, `{j}` a
place in it and `{k}` any number; the right side knows these, and what follows from them:

- `{down}`, `{up}`: the position in `input_blocks` or `output_blocks`, which count through all
  levels; what changes the resolution comes last in its level.
- `{end}`: an upsampler stands behind its level's attention, if there is one.
- `{level}`: the original decoder counts its levels from the finest.

Names: CompVis/latent-diffusion, ldm/modules/diffusionmodules/openaimodel.py and model.py.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

Row = tuple[str, str]
TEXT_PREFIX = "text_model."  # which transformers 5 leaves out


def same(*names: str) -> list[Row]:
    """Rows of names that stay."""
    return [(name, name) for name in names]


def each(blocks: Iterable[Row], parts: Iterable[Row]) -> list[Row]:
    """Rows of every part of every block."""
    parts = list(parts)
    return [(f"{block}.{old}", f"{to}.{new}") for block, to in blocks for old, new in parts]


UNET_RESNET = [
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"), ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
]  # fmt: skip
TRANSFORMER = [
    *same("norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2"),
    *each(same("attn1", "attn2"), same("to_q", "to_k", "to_v", "to_out.0")),
]
SPATIAL = [*same("norm", "proj_in", "proj_out"), *each(same("transformer_blocks.{k}"), TRANSFORMER)]
UNET = [
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("conv_in", "input_blocks.0.0"),
    ("down_blocks.{i}.downsamplers.0.conv", "input_blocks.{down}.0.op"),
    ("up_blocks.{i}.upsamplers.0.conv", "output_blocks.{up}.{end}.conv"),
    ("conv_norm_out", "out.0"),
    ("conv_out", "out.2"),
    *each([("down_blocks.{i}.resnets.{j}", "input_blocks.{down}.0")], UNET_RESNET),
    *each([("mid_block.resnets.0", "middle_block.0")], UNET_RESNET),
    *each([("mid_block.resnets.1", "middle_block.2")], UNET_RESNET),
    *each([("up_blocks.{i}.resnets.{j}", "output_blocks.{up}.0")], UNET_RESNET),
    *each([("down_blocks.{i}.attentions.{j}", "input_blocks.{down}.1")], SPATIAL),
    *each([("mid_block.attentions.0", "middle_block.1")], SPATIAL),
    *each([("up_blocks.{i}.attentions.{j}", "output_blocks.{up}.1")], SPATIAL),
]
VAE_RESNET = [*same("norm1", "conv1", "norm2", "conv2"), ("conv_shortcut", "nin_shortcut")]
VAE_ATTENTION = [
    ("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")
]  # fmt: skip
VAE = [
    *same("quant_conv", "post_quant_conv"),
    ("encoder.down_blocks.{i}.downsamplers.0.conv", "encoder.down.{i}.downsample.conv"),
    ("decoder.up_blocks.{i}.upsamplers.0.conv", "decoder.up.{level}.upsample.conv"),
    *each([("encoder.down_blocks.{i}.resnets.{j}", "encoder.down.{i}.block.{j}")], VAE_RESNET),
    *each([("decoder.up_blocks.{i}.resnets.{j}", "decoder.up.{level}.block.{j}")], VAE_RESNET),
    *each(
        same("encoder", "decoder"),
        [
            *same("conv_in", "conv_out"),
            ("conv_norm_out", "norm_out"),
            *each([("mid_block.resnets.0", "mid.block_1")], VAE_RESNET),
            *each([("mid_block.resnets.1", "mid.block_2")], VAE_RESNET),
            *each([("mid_block.attentions.0", "mid.attn_1")], VAE_ATTENTION),
        ],
    ),
]
TEXT_LAYER = [
    *same("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"),
    *each(same("self_attn"), same("q_proj", "k_proj", "v_proj", "out_proj")),
]
TEXT = [
    *same("embeddings.token_embedding", "embeddings.position_embedding", "final_layer_norm"),
    *each(same("encoder.layers.{k}"), TEXT_LAYER),
]


def to_single_file(unet: Any, vae: Any, text_encoder: Any) -> dict[str, Tensor]:
    """The weights under their original names; they share memory with the models.

    Raises ValueError for weights that have no original name, such as an adapter's, or share one.
    """
    renamed = [
        *rename(unet, UNET, "model.diffusion_model."),
        *rename(vae, VAE, "first_stage_model."),
        *rename(text_encoder, TEXT, f"cond_stage_model.transformer.{TEXT_PREFIX}"),
    ]
    counts = Counter(new for _, new, _ in renamed)
    if wrong := [old for old, new, _ in renamed if not new or counts[new] > 1]:
        raise ValueError(f"weights without an original name of their own: {', '.join(wrong)}")
    # The original autoencoder's attention is made of 1x1 convolutions.
    return {
        new: value[..., None, None] if ".mid.attn_1." in new and value.ndim == 2 else value
        for _, new, value in renamed
    }


def rename(model: Any, rows: Iterable[Row], prefix: str) -> Iterator[tuple[str, str, Tensor]]:
    """Each weight with its name and its original name, which is empty where there is none."""
    weights = model.state_dict()
    table = [(pattern(old), f"{prefix}{new}") for old, new in rows]
    attentive = {name.partition(".attentions.")[0] for name in weights if ".attentions." in name}
    levels = len(getattr(model.config, "block_out_channels", ()))
    last = getattr(model.config, "layers_per_block", 0)  # place of what changes the resolution
    for name, value in weights.items():
        short = name.removeprefix(TEXT_PREFIX)
        matches = ((row.fullmatch(short), new) for row, new in table)
        match, new = next((pair for pair in matches if pair[0]), (None, ""))
        if match:
            numbers = {letter: int(number) for letter, number in match.groupdict().items()}
            i, j = numbers.get("i", 0), numbers.get("j", last)
            up = i * (last + 1) + j
            numbers |= {"up": up, "down": 1 + up, "level": levels - 1 - i}
            numbers["end"] = 2 if f"up_blocks.{i}" in attentive else 1
            new = f"{new.format(**numbers)}.{match[match.re.groups]}"
        yield name, new, value


def pattern(name: str) -> re.Pattern[str]:
    """What matches a module's weight or bias; that word is the last group."""
    numbered = re.sub(r"\\{(\w)\\}", r"(?P<\1>[0-9]+)", re.escape(name))
    return re.compile(rf"{numbered}\.(weight|bias)")
