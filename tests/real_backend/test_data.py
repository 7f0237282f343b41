"""Batches: nothing is left out, everything depends on the seed and the step alone."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_real_backend.training.branches.branch import Branch
from astria_real_backend.training.data import Example, Examples, face_weights, make_examples
from astria_real_backend.training.photos import Photo


def example(height: int = 8, *captions: str) -> Example:
    value = torch.zeros(4, height, 8)
    return Example(value, value, captions or ("photo",))


def photo(kind: str = "whole", caption: str | None = None, face=None, size=(64, 64)) -> Photo:  # type: ignore[no-untyped-def]
    pixels = np.full((*size, 3), 100, dtype=np.uint8)
    return Photo("a.png", kind, pixels, caption, face)


@given(
    sizes=st.lists(st.sampled_from([8, 10, 12]), min_size=1, max_size=12),
    batch=st.integers(1, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_every_picture_comes_in_every_epoch(sizes: list[int], batch: int, seed: int) -> None:
    examples = Examples([example(size) for size in sizes], batch=batch, seed=seed)
    for epoch in range(3):
        steps = range(epoch * examples.per_epoch, (epoch + 1) * examples.per_epoch)
        chosen = [examples.indices(step) for step in steps]
        assert {at for one in chosen for at in one} == set(range(len(sizes)))
        assert {len(one) for one in chosen} == {batch}
        for one in chosen:
            assert len({sizes[at] for at in one}) == 1


def test_few_pictures_fill_a_batch_evenly() -> None:
    examples = Examples([example() for _ in range(3)], batch=7, seed=0)
    assert sorted(Counter(examples.indices(0)).values()) == [2, 2, 3]


def test_step_sees_the_same_whatever_came_before_it() -> None:
    made = [Examples([example(8, f"{n}") for n in range(9)], batch=4, seed=5) for _ in range(2)]
    for step in range(20):
        made[0].batch(step, torch.Generator().manual_seed(step))
    late = [one.batch(20, torch.Generator().manual_seed(20)) for one in made]
    assert late[0].captions == late[1].captions
    assert torch.equal(late[0].latents, late[1].latents)


def test_order_differs_from_epoch_to_epoch_and_by_the_seed() -> None:
    orders = set()
    for seed in (1, 2):
        examples = Examples([example() for _ in range(8)], batch=8, seed=seed)
        orders |= {tuple(examples.indices(step)) for step in range(2)}
    assert len(orders) == 4


# -- what is made of pictures ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given_photo", "expected"),
    [
        (photo(), ("photo of sks cat",)),
        (photo(caption="sks cat asleep"), ("photo of sks cat", "sks cat asleep")),
        (photo("face"), ("closeup photo of sks cat",)),
    ],
)
def test_captions(branch: Branch, given_photo: Photo, expected: tuple[str, ...]) -> None:
    [made] = make_examples(branch, [given_photo], "photo of sks cat", 1.0)
    assert made.captions == expected


def test_caption_of_ones_own_counts_half() -> None:
    examples = Examples([example(8, "usual", "own")], batch=4, seed=0)
    seen = Counter(
        caption
        for step in range(100)
        for caption in examples.batch(step, torch.Generator().manual_seed(step)).captions
    )
    assert 150 < seen["own"] < 250


def test_pictures_of_several_sizes_keep_their_order(branch: Branch) -> None:
    photos = [photo(size=size) for size in ((64, 64), (48, 80), (64, 64), (80, 48))]
    made = make_examples(branch, photos, "photo", 1.0)
    assert [tuple(one.mean.shape[1:]) for one in made] == [(16, 16), (12, 20), (16, 16), (20, 12)]


def test_face_weighs_more_and_the_mean_stays() -> None:
    weights = face_weights(photo(face=(0.25, 0.25, 0.75, 0.5)), torch.zeros(4, 8, 8), 3.0)
    assert weights is not None
    assert weights.mean().item() == pytest.approx(1.0)
    inside, outside = weights[0, 3, 4].item(), weights[0, 6, 6].item()
    assert inside == pytest.approx(3 * outside)
    assert (weights > weights.min()).sum().item() == 8  # 2 rows of 4


def test_without_a_face_or_a_weight_nothing_is_weighed() -> None:
    assert face_weights(photo(), torch.zeros(4, 8, 8), 3.0) is None
    assert face_weights(photo(face=(0, 0, 1, 1)), torch.zeros(4, 8, 8), 1.0) is None
