"""Training pictures as the loop takes them: latents, captions and weights, in batches by size."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from astria_real_backend.training.branches.sd15 import StableDiffusion15
from astria_real_backend.training.photos import Photo

ENCODED_AT_ONCE = 8


@dataclass(frozen=True)
class Batch:
    """latents: (B, 4, h, w); weights: (B, 1, h, w) with mean 1, or None."""

    latents: Tensor
    captions: Sequence[str]
    weights: Tensor | None


@dataclass(frozen=True)
class Example:
    """One picture. mean, deviation: (4, h, w) of its latents. One of its captions is drawn."""

    mean: Tensor
    deviation: Tensor
    captions: Sequence[str]
    weights: Tensor | None = None


class Examples:
    """Pictures in batches, each of one size, filled by repeating and never by leaving out.

    What a step sees depends on the seed and its number alone, so a training can go on anywhere.
    """

    def __init__(self, examples: Sequence[Example], *, batch: int, seed: int):
        self._examples, self._batch, self._seed = examples, batch, seed
        self._sizes: Mapping[tuple[int, ...], list[int]] = defaultdict(list)
        for at, example in enumerate(examples):
            self._sizes[tuple(example.mean.shape)].append(at)
        self.per_epoch = sum(-(-len(group) // batch) for group in self._sizes.values())

    def __len__(self) -> int:
        return len(self._examples)

    def chosen(self, step: int) -> list[int]:
        """The numbers of the pictures of a step; all come once in each epoch, or more often."""
        epoch, at = divmod(step, self.per_epoch)
        chance = Random(f"{self._seed}/{epoch}")  # noqa: S311 - no secret
        batches = []
        for group in self._sizes.values():
            order = chance.sample(group, len(group))
            while len(order) % self._batch:
                order += chance.sample(group, len(group))[: self._batch - len(order) % self._batch]
            batches += [order[i : i + self._batch] for i in range(0, len(order), self._batch)]
        chance.shuffle(batches)
        return batches[at]

    def batch(self, step: int, chance: torch.Generator) -> Batch:
        found = [self._examples[at] for at in self.chosen(step)]
        mean = torch.stack([one.mean for one in found])
        deviation = torch.stack([one.deviation for one in found])
        latents = mean + deviation * torch.randn(mean.shape, generator=chance)
        picks = torch.randint(0, 2**31, (len(found),), generator=chance).tolist()
        captions = [
            one.captions[at % len(one.captions)] for one, at in zip(found, picks, strict=True)
        ]
        weights = [one.weights for one in found]
        if all(one is None for one in weights):
            return Batch(latents, captions, None)
        ones = torch.ones(1, *mean.shape[2:])
        return Batch(latents, captions, torch.stack([ones if w is None else w for w in weights]))


def make_examples(
    branch: StableDiffusion15, photos: Sequence[Photo], prompt: str, face_weight: float
) -> list[Example]:
    """Encode pictures once.

    A caption of one's own counts half, the prompt of all of them the other half; a crop of a face
    is a closeup (docs/use-cases, 2026-08-21, and Astria's own recipe for Flux).
    """
    made: dict[int, Example] = {}
    sizes: Mapping[tuple[int, ...], list[int]] = defaultdict(list)
    for at, photo in enumerate(photos):
        sizes[photo.pixels.shape].append(at)
    for group in sizes.values():
        for start in range(0, len(group), ENCODED_AT_ONCE):
            some = group[start : start + ENCODED_AT_ONCE]
            means, deviations = branch.encode([photos[at].pixels for at in some])
            for at, mean, deviation in zip(some, means, deviations, strict=True):
                photo = photos[at]
                usual = f"closeup {prompt}" if photo.kind == "face" else prompt
                captions = (usual, photo.caption) if photo.caption else (usual,)
                weights = face_weights(photo, mean, face_weight)
                made[at] = Example(mean, deviation, captions, weights)
    return [made[at] for at in range(len(photos))]


def face_weights(photo: Photo, latents: Tensor, weight: float) -> Tensor | None:
    """Weights of a picture's places: (1, h, w), more within its face's box; their mean is 1."""
    if photo.face is None or weight == 1.0:
        return None
    height, width = latents.shape[-2:]
    left, top, right, bottom = photo.face
    found = torch.ones(1, height, width)
    rows = slice(int(top * height), max(int(top * height) + 1, round(bottom * height)))
    columns = slice(int(left * width), max(int(left * width) + 1, round(right * width)))
    found[:, rows, columns] = weight
    return found / found.mean()
