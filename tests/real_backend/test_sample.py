"""Drawing: each attribute of a prompt has its effect, and a seed its pictures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training import BranchCache

from astria_real_backend.config import BaseFiles, SampleConfig
from astria_real_backend.training.branches.schedulers import SCHEDULERS
from astria_real_backend.training.sample import sample
from astria_real_backend.training.train import Stopped

Draw = Callable[..., list[bytes]]


@pytest.fixture
def asked(toy: BaseFiles) -> SampleConfig:
    return SampleConfig(
        base=toy, prompt="photo of a cat", seed=1, pictures=1, width=64, height=64, steps=3,
        guidance_scale=4.0, scheduler="euler",
    )  # fmt: skip


@pytest.fixture
def draw(asked: SampleConfig, loaded: BranchCache) -> Draw:
    def draw(**changes: Any) -> list[bytes]:
        config = replace(asked, **changes)
        branch = loaded.load(config.base, "cpu", config.threads)
        return [np.asarray(one).tobytes() for one in sample(branch, config, lambda told: True)]

    return draw


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "photo of a dog"},
        {"negative_prompt": "orange"},
        {"seed": 2},
        {"steps": 4},
        {"guidance_scale": 1.0},
        {"scheduler": "dpm++2m"},
        {"width": 72},
        {"height": 48},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_attribute_changes_the_picture(draw: Draw, changes: dict[str, Any]) -> None:
    assert draw(**changes) != draw()


def test_pictures_are_the_same_again_and_each_has_its_own_seed(draw: Draw) -> None:
    together = draw(pictures=5)
    assert draw(pictures=5) == together
    assert len(set(together)) == 5
    # One drawn alone differs from the same one among others by rounding only.
    alone = np.frombuffer(draw(seed=1 + 3)[0], dtype=np.uint8).astype(int)
    among = np.frombuffer(together[3], dtype=np.uint8).astype(int)
    assert np.abs(alone - among).max() <= 2


def test_picture_has_the_size_that_was_asked_for(asked: SampleConfig, loaded: BranchCache) -> None:
    branch = loaded.load(asked.base, "cpu", asked.threads)
    [picture] = sample(branch, replace(asked, width=96, height=40), lambda told: True)
    assert picture.size == (96, 40)


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_scheduler_draws(draw: Draw, name: str) -> None:
    [picture] = draw(scheduler=name, steps=4)
    assert len(set(picture)) > 20


def test_schedulers_are_those_of_the_contract() -> None:
    from astria_emulator.spec.openapi import Spec, default_path

    fields = Spec.read(default_path()).schema("PromptFields")["properties"]
    assert {*fields["scheduler"]["enum"]} - {None} == {*SCHEDULERS}


def test_drawing_stops_when_asked(asked: SampleConfig, loaded: BranchCache) -> None:
    branch = loaded.load(asked.base, "cpu", asked.threads)
    with pytest.raises(Stopped):
        sample(branch, asked, lambda told: told.get("step", 0) < 2)
