"""MockBackend: pictures, videos and weights without a model.

It returns recipes. `render` makes the bytes when a file is fetched, the same bytes every time.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import fields
from hashlib import blake2b
from random import Random
from typing import Any

from astria_emulator.backend import Artefact, GenerateJob, Recipe, Report, Trained, TrainJob
from astria_emulator.request.image_headers import size_of

JPEG, MP4, SAFETENSORS = "image/jpeg", "video/mp4", "application/octet-stream"
CARD_SIDE = 768  # pixels of the card that is shown in place of a picture at an address
MIN_SIDE = 512  # pixels; smaller pictures count as low resolution

# docs/api/4-images/1-inspect.md, 2026-08-21
TRAITS: Mapping[str, Sequence[str]] = {
    "ethnicity": ("caucasian", "black", "hispanic", "asian", "indian", "arabic"),
    "age": ("20 yo", "30 yo", "40 yo", "50 yo", "60 yo", "70 yo"),
    "eye_color": ("blue eyes", "brown eyes", "green eyes", "gray eyes", "black eyes"),
    "hair_color": (
        "black hair",
        "brown hair",
        "blonde hair",
        "red hair",
        "grey hair",
        "white hair",
    ),
    "hair_length": ("short hair", "medium hair", "long hair"),
    "hair_style": ("straight hair", "wavy hair", "curly hair"),
    "body_type": ("slim body", "average body", "muscular body"),
    "glasses": ("", "glasses"),
}
PEOPLE = frozenset({"man", "woman", "boy", "girl", "baby", "person"})
FLAWS = (
    "funny_face",
    "wearing_sunglasses",
    "wearing_hat",
    "blurry",
    "includes_multiple_people",
    "full_body_image_or_longshot",
)


class MockBackend:
    """Serves `branch=fast`, and every other branch while no real backend is configured.

    train_seconds, prompt_seconds: how long the work seems to take.
    """

    name = "mock"
    pretends = True
    slots, tries = 0, 1

    def __init__(self, *, train_seconds: float, prompt_seconds: float):
        self._train_seconds = train_seconds
        self._prompt_seconds = prompt_seconds

    def train_seconds(self, attributes: Mapping[str, Any]) -> float:
        return self._train_seconds

    def prompt_seconds(self, attributes: Mapping[str, Any]) -> float:
        return self._prompt_seconds

    def start(self) -> None: ...
    def close(self) -> None: ...
    def forget(self, tune_id: int | None) -> None: ...

    def serves(self, branch: str) -> bool:
        return True

    def refusal(self, branch: str, base_tune_id: int) -> str | None:
        return None

    def side(self, base_tune_id: int) -> int | None:
        return None

    def train(self, job: TrainJob, report: Report) -> Trained:
        metadata = {
            "tune_id": str(job.tune_id),
            "branch": job.branch,
            "base_tune_id": str(job.base_tune_id),
        }
        recipe = {"weights": metadata | {"model_type": job.model_type or "checkpoint"}}
        return Trained([Artefact(SAFETENSORS, recipe)])

    def generate(self, jobs: Sequence[GenerateJob], report: Report) -> list[list[Artefact]]:
        return [
            self._clips(job) if job.attributes.get("video_model") else self._pictures(job)
            for job in jobs
        ]

    def _pictures(self, job: GenerateJob) -> list[Artefact]:
        common = {
            "width": job.width,
            "height": job.height,
            "text": job.text,
            "seed": job.seed,
            "subject": job.subject,
            "tune": f"tune {job.tune_id} {job.tune_title}",
        }
        return [
            Artefact(JPEG, {"picture": {**common, "index": index}})
            for index in range(job.num_images)
        ]

    def _clips(self, job: GenerateJob) -> list[Artefact]:
        recipe = {"clip": f"{job.width}:{job.height}"}
        return [
            Artefact(MP4, {**recipe, "index": index, "seed": job.seed})
            for index in range(job.num_images)
        ]

    def inspect(self, image: bytes | str, name: str) -> Mapping[str, Any]:
        raw = image if isinstance(image, bytes) else image.encode()
        random = Random(int.from_bytes(blake2b(raw, digest_size=8).digest()))  # noqa: S311 - no secret
        size = size_of(image) if isinstance(image, bytes) else None
        small = size is not None and min(size) < MIN_SIDE
        traits: dict[str, Any] = {"name": name}
        if name in PEOPLE:
            traits |= {trait: random.choice(options) for trait, options in TRAITS.items()}
            traits |= {"facial_hair": "", "is_bald": "", "headcover": ""}
        return (
            traits
            | dict.fromkeys(FLAWS, False)
            | {"selfie": random.random() < 0.5, "low_resolution": small, "low_quality": False}
        )


def render(recipe: Recipe) -> bytes:
    """Return the bytes of a recipe."""
    from astria_emulator.mock import drawing

    if "picture" in recipe:
        # Recipes of earlier versions have more fields.
        names = {field.name for field in fields(drawing.Picture)}
        picture = {name: value for name, value in recipe["picture"].items() if name in names}
        return drawing.draw_jpeg(drawing.Picture(**picture))
    if "address" in recipe:
        return drawing.draw_reference(CARD_SIDE, CARD_SIDE, recipe["address"])
    if "clip" in recipe:
        return drawing.clip(recipe["clip"])
    return safetensors(recipe["weights"])


def safetensors(metadata: Mapping[str, str]) -> bytes:
    """Return a valid safetensors file: one 4 x 4 float32 tensor of zeros, and metadata.

    Format: huggingface/safetensors, README: little-endian u64 header size, JSON header padded with
    spaces, data.
    """
    shape = [4, 4]
    header = {
        "__metadata__": dict(metadata),
        "mock.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 64]},
    }
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(64)
