"""Training pictures as latents, captions and loss weights, in batches of one size."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from astria_real_backend.training.branches.branch import Branch
from astria_real_backend.training.photos import Photo

ENCODING_BATCH = 8


@dataclass(frozen=True)
class Batch:
    """latents: (B, C, h, w); weights of the loss: (B, 1, h, w) with mean 1, or None."""

    latents: Tensor
    captions: Sequence[str]
    weights: Tensor | None


@dataclass(frozen=True)
class Example:
    """One picture. mean, deviation: (C, h, w) of its latents. A step takes one of its captions."""

    mean: Tensor
    deviation: Tensor
    captions: Sequence[str]
    weights: Tensor | None = None


class Examples:
    """Pictures in batches, each of one size, filled by repeating and never by leaving out.

    The batch of a step depends on the seed and its number alone, so a training can resume anywhere.
    """

    def __init__(self, examples: Sequence[Example], *, batch: int, seed: int):
        self._examples, self._batch, self._seed = examples, batch, seed
        self._sizes: Mapping[tuple[int, ...], list[int]] = defaultdict(list)
        for at, example in enumerate(examples):
            self._sizes[tuple(example.mean.shape)].append(at)
        self.per_epoch = sum(-(-len(group) // batch) for group in self._sizes.values())

    def __len__(self) -> int:
        return len(self._examples)

    def indices(self, step: int) -> list[int]:
        """The indices of the pictures of a step; each comes at least once in every epoch."""
        epoch, at = divmod(step, self.per_epoch)
        random = Random(f"{self._seed}/{epoch}")  # noqa: S311 - no secret
        batches = []
        for group in self._sizes.values():
            order = random.sample(group, len(group))
            while len(order) % self._batch:
                order += random.sample(group, len(group))[: self._batch - len(order) % self._batch]
            batches += [order[i : i + self._batch] for i in range(0, len(order), self._batch)]
        random.shuffle(batches)
        return batches[at]

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        examples = [self._examples[at] for at in self.indices(step)]
        mean = torch.stack([one.mean for one in examples])
        deviation = torch.stack([one.deviation for one in examples])
        latents = mean + deviation * torch.randn(mean.shape, generator=generator)
        picks = torch.randint(0, 2**31, (len(examples),), generator=generator).tolist()
        captions = [
            one.captions[at % len(one.captions)] for one, at in zip(examples, picks, strict=True)
        ]
        weights = [one.weights for one in examples]
        if all(one is None for one in weights):
            return Batch(latents, captions, None)
        ones = torch.ones(1, *mean.shape[2:])
        return Batch(latents, captions, torch.stack([ones if w is None else w for w in weights]))


def make_examples(
    branch: Branch, photos: Sequence[Photo], prompt: str, face_weight: float
) -> list[Example]:
    """Encode every picture once.

    A caption of one's own counts half, the prompt of all of them the other half; a crop of a face
    is a closeup (docs/use-cases, 2026-08-21, and Astria's own recipe for Flux).
    """
    examples: dict[int, Example] = {}
    sizes: Mapping[tuple[int, ...], list[int]] = defaultdict(list)
    for at, photo in enumerate(photos):
        sizes[photo.pixels.shape].append(at)
    for group in sizes.values():
        for start in range(0, len(group), ENCODING_BATCH):
            batch = group[start : start + ENCODING_BATCH]
            means, deviations = branch.encode_pictures([photos[at].pixels for at in batch])
            for at, mean, deviation in zip(batch, means, deviations, strict=True):
                photo = photos[at]
                default = f"closeup {prompt}" if photo.kind == "face" else prompt
                captions = (default, photo.caption) if photo.caption else (default,)
                weights = face_weights(photo, mean, face_weight)
                examples[at] = Example(mean, deviation, captions, weights)
    return [examples[at] for at in range(len(photos))]


def face_weights(photo: Photo, latents: Tensor, weight: float) -> Tensor | None:
    """Loss weights of a picture: (1, h, w), larger within its face's box; their mean is 1."""
    if photo.face is None or weight == 1.0:
        return None
    height, width = latents.shape[-2:]
    left, top, right, bottom = photo.face
    weights = torch.ones(1, height, width)
    rows = slice(int(top * height), max(int(top * height) + 1, round(bottom * height)))
    columns = slice(int(left * width), max(int(left * width) + 1, round(right * width)))
    weights[:, rows, columns] = weight
    return weights / weights.mean()
