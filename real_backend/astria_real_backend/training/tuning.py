"""A tune, from its pictures to its files."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from astria_real_backend.config import BaseFiles, TrainConfig, as_plain
from astria_real_backend.training import checkpoint, export
from astria_real_backend.training.adapters import make_trainable
from astria_real_backend.training.branches import load_branch
from astria_real_backend.training.branches.branch import Branch
from astria_real_backend.training.classes import class_examples
from astria_real_backend.training.data import Examples, make_examples
from astria_real_backend.training.faces import find_faces, load_restorer
from astria_real_backend.training.photos import Options, Photo, Source, prepare
from astria_real_backend.training.train import Report, fixed_noise_loss, train

# Faces are looked for in pictures of these, and where their crops are asked for.
PEOPLE = frozenset({"man", "woman", "boy", "girl", "baby", "person"})
FIXED_BATCHES = 3  # of the loss before and after
PACKAGES = ("torch", "diffusers", "transformers", "peft")


class Unusable(Exception):
    """The tune cannot be trained: a sentence for its owner."""


class BranchCache:
    """The base that was used last, loaded and ready."""

    def __init__(self) -> None:
        self._branch: Branch | None = None

    def load(self, base: BaseFiles, device: str, threads: int) -> Branch:
        """A base with the weights that its files have."""
        torch.set_num_threads(threads)
        if self._branch is None or self._branch.base != base:
            self._branch = None  # its memory goes before the next one is read
            self._branch = load_branch(base, device)
        return self._branch

    def release(self, branch: Branch, *, has_changed: bool) -> None:
        """Restore a base; one whose own weights have changed will be loaded anew."""
        branch.restore()
        if has_changed or branch.fingerprint() != branch.loaded_fingerprint:
            self._branch = None


@dataclass(frozen=True)
class Outcome:
    """files: in the order of `ckpt_urls`; report: what JSON can hold."""

    files: Sequence[Path]
    report: Mapping[str, Any]


def tune(
    cache: BranchCache,
    config: TrainConfig,
    sources: Sequence[Source],
    *,
    folder: Path,
    classes_folder: Path,
    report: Report,
) -> Outcome:
    """Train, write and read again.

    folder: keeps the checkpoint that another try resumes from, and gets the files.
    Raises Unusable, Stopped, OSError, NotTheSame.
    """
    timings: dict[str, float] = {}
    started = time.monotonic()

    def lap(phase: str) -> None:
        timings[phase] = round(time.monotonic() - started - sum(timings.values()), 3)

    report({"phase": "pictures"})
    photos, file_reports = prepared(config, sources)
    if not photos:
        reasons = [one.reason for one in file_reports if not one.name.lower().endswith(".txt")]
        listed = "; ".join(f"picture {at}: {reason}" for at, reason in enumerate(reasons, 1))
        raise Unusable(f"None of the {len(reasons)} pictures can be used ({listed}).")
    lap("pictures")
    report({"phase": "loading"})
    branch = cache.load(config.base, config.device, config.threads)
    lap("loading")
    try:
        classes = None
        if config.recipe.prior_weight:
            class_pictures = class_examples(branch, config, classes_folder, report)
            classes = Examples(class_pictures, batch=config.recipe.batch, seed=config.seed)
        lap("class pictures")
        trainable = make_trainable(branch, config)
        pictures = make_examples(branch, photos, trainable.prompt, config.recipe.face_weight)
        examples = Examples(pictures, batch=config.recipe.batch, seed=config.seed)
        whole = sum(photo.kind == "whole" for photo in photos)
        steps = config.recipe.steps_for(whole, config.steps, config.most_steps)
        digest = digest_of(config, photos)
        loss_before = None
        if not has_checkpoint(folder):
            loss_before = fixed_noise_loss(branch, examples, batches=FIXED_BATCHES)
        lap("encoding")
        history = train(
            branch, trainable, examples, classes, config,
            steps=steps, folder=folder, digest=digest, report=report,
        )  # fmt: skip
        lap("training")
        report({"phase": "saving", "step": steps, "steps": steps})
        loss_after = fixed_noise_loss(branch, examples, batches=FIXED_BATCHES)
        recipe = {**as_plain(config), "steps": steps, "base": config.base.tune_id}
        recipe.pop("former")
        about = {
            "recipe": recipe,
            "prompt": trainable.prompt,
            "base_fingerprint": f"{branch.loaded_fingerprint:x}",
            "versions": {name: version(name) for name in PACKAGES},
            "pictures": digest_of_pictures(photos),
        }
        metadata = {name: json.dumps(value, sort_keys=True) for name, value in about.items()}
        files = export.write(branch, trainable, folder, metadata)
        difference = export.verify(branch, trainable, files)
        lap("saving")
    finally:
        cache.release(branch, has_changed=config.method == "checkpoint")
    return Outcome(
        files,
        {
            **about,
            "images": [one.as_dict() for one in file_reports],
            "steps": steps,
            "loss_before": loss_before,
            "loss_after": loss_after,
            "losses": [round(loss, 5) for loss in history.losses],
            "resumed_at": history.resumed_at,
            "seconds_per_step": history.seconds / max(1, steps - history.resumed_at),
            "read_again_differs_by": difference,
            "sha256": {file.name: export.digest_of(file) for file in files},
            "seconds": timings,
        },
    )


def prepared(config: TrainConfig, sources: Sequence[Source]) -> tuple[list[Photo], Sequence[Any]]:
    needs_faces = config.face_crop or config.restorer or config.subject in PEOPLE
    options = Options(
        side=config.base.side,
        step=config.base.bucket_step,
        face_crop=config.face_crop,
        max_megapixels=config.most_megapixels,
        find_faces=find_faces if needs_faces else lambda pixels: [],
        restore=load_restorer(config.restorer) if config.restorer else None,
    )
    return prepare(sources, options)


def has_checkpoint(folder: Path) -> bool:
    return (folder / checkpoint.NAME).exists()


def digest_of(config: TrainConfig, photos: Sequence[Photo]) -> str:
    """A digest that is the same for two trainings that may resume from each other's checkpoint."""
    plain = {**as_plain(config), "pictures": digest_of_pictures(photos)}
    for name in ("checkpoint_every", "device", "keeps_classes"):
        del plain[name]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def digest_of_pictures(photos: Sequence[Photo]) -> str:
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(photo.pixels.tobytes())
        digest.update((photo.caption or "").encode())
    return digest.hexdigest()
