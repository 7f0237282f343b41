"""What a request asks for, in the papers' words: a TrainConfig or a SampleConfig.

What cannot be done is refused with a sentence; what would only make a picture finer is left out,
and that is said.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astria_emulator import BackendError, GenerateJob, TrainJob, Tuned, flags, picture_size
from astria_real_backend.config import (
    METHODS,
    NAMES,
    Adapter,
    BaseFiles,
    SampleConfig,
    TrainConfig,
    preset,
)
from astria_real_backend.server_side.bases import DEFAULTS, Base
from astria_real_backend.server_side.catalog import Catalogue
from astria_real_backend.server_side.settings import Settings

LARGEST_SCALE = 2  # of the native side, for a square picture
STEPS_ALLOWED = 50  # of a prompt, by the contract
WORD_TOKENS = {"sd15": "sks"}
# Attributes that give something to draw from: without them the picture is another.
UNSUPPORTED = (
    "controlnet", "input_image_url", "mask_image_url", "face_swap", "input_image", "mask_image",
)  # fmt: skip
# Attributes that make a picture finer: without them it is still the one that was asked for.
IGNORED = (
    "super_resolution", "inpaint_faces", "hires_fix", "face_correct", "use_lpw", "style",
    "color_grading", "film_grain", "prompt_expansion", "theme",
)  # fmt: skip


def train_config(
    job: TrainJob, catalogue: Catalogue, settings: Settings, device: str, megapixels: int
) -> TrainConfig:
    """Raises BackendError."""
    base = base_files(catalogue, job.base_tune_id, job.branch, job.checkpoint)
    attributes = job.attributes
    if attributes.get("training_face_correct") and not settings.restorer:
        raise BackendError("training_face_correct needs a restorer, and none is set up here.")
    method = METHODS[job.model_type]
    return TrainConfig(
        tune_id=job.tune_id,
        base=base,
        method=method,
        subject=str(attributes["name"]),
        token=str(attributes.get("token") or WORD_TOKENS[base.family]),
        recipe=preset(base, method),
        steps=attributes.get("steps"),
        most_steps=settings.most_steps,
        face_crop=bool(attributes.get("face_crop")),
        restorer=settings.restorer if attributes.get("training_face_correct") else None,
        keeps_classes=job.checkpoint is None,
        former=tuple(map(str, weight_files(job.adapter))) if job.adapter else (),
        checkpoint_every=settings.checkpoint_steps,
        threads=settings.threads,
        device=device,
        most_megapixels=megapixels,
    )


def expected_steps(catalogue: Catalogue, settings: Settings, attributes: Mapping[str, Any]) -> int:
    """Steps of a tune that is yet to be made."""
    default = catalogue.bases[DEFAULTS[str(attributes["branch"])]]
    entry = catalogue.bases.get(attributes.get("base_tune_id") or 0, default)
    recipe = preset(
        files_of_base(entry, Path()), METHODS.get(attributes.get("model_type"), "checkpoint")
    )
    pictures = len(attributes.get("image_keys") or ())
    return recipe.steps_for(pictures, attributes.get("steps"), settings.most_steps)


def write_pictures(job: TrainJob, folder: Path) -> None:
    """Write a job's pictures and captions, by number, and their names beside them."""
    folder.mkdir(parents=True)
    names = []
    for at, file in enumerate([*job.images, *job.captions]):
        if not isinstance(file.content, bytes):
            raise BackendError(f"Picture {at + 1} was given by address, and was not fetched.")
        (folder / str(at)).write_bytes(file.content)
        # A picture may be called as if it were a caption.
        is_misnamed = at < len(job.images) and file.name.lower().endswith(".txt")
        names.append(f"{file.name}." if is_misnamed else file.name or f"picture {at + 1}")
    (folder / NAMES).write_text(json.dumps(names))


def sample_config(
    job: GenerateJob, catalogue: Catalogue, settings: Settings, device: str
) -> tuple[SampleConfig, list[str]]:
    """What to draw, and the names of attributes that are left out.

    Raises BackendError.
    """
    attributes = job.attributes
    missing = [name for name in UNSUPPORTED if attributes.get(name) or name in job.images]
    missing += ["outpaint"] if "outpaint" in flags(str(attributes.get("text") or "")) else []
    missing += [f"<{kind}:{id}>" for kind, id, _ in job.tunes if kind != "lora"]
    if missing:
        raise BackendError(f"This backend cannot draw with {', '.join(missing)} yet.")
    base = base_files(catalogue, job.base_tune_id, job.branch, job.checkpoint)
    scales = {id: scale for _, id, scale in job.tunes}
    known = {one.tune_id: one for one in job.adapters}
    if unknown := sorted(scales.keys() - known.keys()):
        raise BackendError(f"Tune {unknown[0]} has no weights that can be drawn with.")
    adapters = tuple(
        Adapter(one.tune_id, tuple(map(str, weight_files(one))), scales[one.tune_id], one.token)
        for one in known.values()
        if one.model_type  # a checkpoint that is named is the base already
    )
    guidance = attributes.get("cfg_scale")
    shown = (job.width, job.height)
    plain = {**attributes, "super_resolution": False}
    asked = picture_size(plain, job.branch, own_side=base.side)
    sampled = sampling_size(asked, base.side)
    config = SampleConfig(
        base=base,
        prompt=job.text,
        negative_prompt=str(attributes.get("negative_prompt") or ""),
        seed=job.seed,
        pictures=job.num_images,
        width=sampled[0],
        height=sampled[1],
        output_size=shown if shown != sampled else None,
        steps=min(
            attributes.get("steps") or SampleConfig.steps, settings.most_steps or STEPS_ALLOWED
        ),
        guidance_scale=SampleConfig.guidance_scale if guidance is None else guidance,
        scheduler=attributes.get("scheduler") or SampleConfig.scheduler,
        adapters=adapters,
        threads=settings.threads,
        device=device,
    )
    return config, [name for name in IGNORED if attributes.get(name)]


def sampling_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size to draw in: a picture larger than its base can draw is enlarged afterwards."""
    scale = min(1.0, side * LARGEST_SCALE / (size[0] * size[1]) ** 0.5)
    return (
        size if scale == 1.0 else (_multiple_of_8(size[0] * scale), _multiple_of_8(size[1] * scale))
    )


def _multiple_of_8(pixels: float) -> int:
    return max(16, int(pixels) // 8 * 8)


def base_files(
    catalogue: Catalogue, tune_id: int, branch: str, checkpoint: Tuned | None
) -> BaseFiles:
    """Raises BackendError."""
    if why := absence(catalogue, tune_id, branch):
        raise BackendError(f"Base {tune_id} is not here: {why}.")
    entry = catalogue.bases[tune_id]
    base = files_of_base(entry, catalogue.locate(entry))
    if checkpoint is None:
        return base
    return BaseFiles(**{**vars(base), "checkpoint": str(weight_files(checkpoint)[0])})


def absence(catalogue: Catalogue, tune_id: int, branch: str) -> str | None:
    """Why a gallery tune cannot be trained or drawn with, or None where it can."""
    entry = catalogue.bases.get(tune_id)
    if entry is None:
        return "it is not among the models known here"
    if entry.family != branch:
        return f"it is of {entry.family}, not of {branch}"
    return catalogue.absence(entry)


def files_of_base(entry: Base, path: Path) -> BaseFiles:
    """path: where the catalogue has located it."""
    is_single = path.suffix == ".safetensors"
    return BaseFiles(
        tune_id=entry.tune_id,
        family=entry.family,
        preset=entry.preset,
        folder=entry.config if is_single else str(path),
        checkpoint=str(path) if is_single else None,
        side=entry.side,
        bucket_step=max(8, entry.side // 8),
    )


def weight_files(tune: Tuned) -> list[Path]:
    """A tune's files.

    Raises BackendError where there are none.
    """
    files = [one.content for one in tune.files if isinstance(one.content, Path)]
    if not files:
        raise BackendError(f"Tune {tune.tune_id} has no weights here.")
    return files
