"""What a training leaves: files, each read again and compared before it counts."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from astria_real_backend.training.adapters import SUBJECT, Trainable
from astria_real_backend.training.branches.branch import Branch

TOLERANCE = 1e-5  # of predictions of about 1
ADAPTER, TOKENS, CHECKPOINT = (
    "adapter.safetensors",
    "words.safetensors",
    "checkpoint-fp16.safetensors",
)


class NotTheSame(Exception):
    """What was read again differs from what was trained."""


def write(
    branch: Branch, trainable: Trainable, folder: Path, metadata: Mapping[str, str]
) -> list[Path]:
    """Write the files of a tune: an adapter, and its tokens if any, or a checkpoint.

    Raises OSError.
    """
    if trainable.trains_base:
        save_weights(folder / CHECKPOINT, branch.checkpoint_tensors(), metadata)
        return [folder / CHECKPOINT]
    about = {**metadata, "format": "pt"}
    save_file(branch.adapter_tensors(SUBJECT), folder / ADAPTER, about)
    if trainable.tokens is None:
        return [folder / ADAPTER]
    save_file(branch.token_tensors(trainable.tokens), folder / TOKENS, about)
    return [folder / ADAPTER, folder / TOKENS]


def save_weights(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write weights to a .safetensors file.

    Raises OSError.
    """
    written = {
        name: value.detach().to("cpu", dtype).contiguous() for name, value in tensors.items()
    }
    save_file(written, path, {"format": "pt", **metadata})


@torch.no_grad()
def verify(branch: Branch, trainable: Trainable, files: list[Path]) -> float:
    """Read files as users' tools do, in a fresh copy of the base; returns the difference.

    A checkpoint's weights must be those that were trained, but for the rounding to fp16; with an
    adapter and its tokens the prediction for their text must be the same.
    Raises NotTheSame.
    """
    if trainable.trains_base:
        reread = branch.read_checkpoint(files[0])
        for name, network in branch.networks.items():
            compare_weights(name, network, reread[name])
        return 0.0
    tokens = trainable.tokens.names if trainable.tokens else ()
    prediction = branch.probe_files(files, trainable.prompt, tokens)
    difference = (prediction - branch.probe(trainable.prompt)).abs().max().item()
    if not difference <= TOLERANCE:
        raise NotTheSame(f"read again it differs by {difference:.3g}, more than {TOLERANCE:g}")
    return difference


def compare_weights(name: str, trained: Any, reread: Any) -> None:
    """Compare two networks of one name.

    Raises NotTheSame unless they are equal in fp16.
    """
    weights = reread.state_dict()
    for key, value in trained.state_dict().items():
        if not torch.equal(weights[key].half().cpu(), value.half().cpu()):
            raise NotTheSame(f"read again, {name}.{key} differs")


def metadata_of(file: Path) -> dict[str, str]:
    """The metadata of a .safetensors file."""
    with safe_open(file, framework="pt") as opened:
        return dict(opened.metadata() or {})


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
