"""A theme makes ten prompts for each tune, or none."""

from typing import Any

import pytest

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.world import World

pytestmark = pytest.mark.needs("paid")
TEN = 10


def make(api: Api, *tune_ids: int, **more: Any) -> None:
    theme = {"theme": "Corporate headshots", "tune_ids": list(tune_ids), **more}
    assert api.ok("POST", "/themes", {"theme": theme}) is None


def test_theme_makes_ten_different_prompts_for_each_tune(api: Api) -> None:
    tunes = [api.tune()["id"] for _ in range(2)]
    make(api, *tunes, prompt_attributes={"num_images": 2, "w": 128, "h": 64})
    for id in tunes:
        prompts = api.page(f"/tunes/{id}/prompts")
        assert len({prompt["text"] for prompt in prompts}) == len(prompts) == TEN
        assert {(prompt["num_images"], prompt["w"], prompt["h"]) for prompt in prompts} == {
            (2, 128, 64)
        }
        assert api.final(f"/prompts/{prompts[0]['id']}")["images"]


def test_theme_on_a_lora_moves_its_prompts(api: Api) -> None:
    lora = api.lora()
    make(api, lora["id"], prompt_attributes={"num_images": 1})
    prompts = api.page(f"/tunes/{lora['id']}/prompts")
    assert len(prompts) == TEN
    assert {prompt["tune_id"] for prompt in prompts} == {FLUX}


def test_number_of_pictures_is_at_most_eight(api: Api) -> None:
    tune = api.tune()
    make(api, tune["id"], prompt_attributes={"num_images": 100})
    assert {prompt["num_images"] for prompt in api.page(f"/tunes/{tune['id']}/prompts")} == {8}


def test_theme_may_stand_without_its_wrapper(api: Api) -> None:
    tune = api.tune()
    api.ok("POST", "/themes", {"theme": "The sea", "tune_ids": [tune["id"]]})
    prompts = api.page(f"/tunes/{tune['id']}/prompts")
    assert [prompt["num_images"] for prompt in prompts] == [4] * TEN


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"theme": ""}, "theme"),
        ({"tune_ids": []}, "tune_ids"),
        ({"tune_ids": [1]}, "tune_ids"),
        ({"prompt_attributes": {"w": 3}}, "w"),
    ],
)
def test_refused_theme_makes_nothing(
    api: Api, world: World, change: dict[str, Any], field: str
) -> None:
    tune = api.tune()
    theme = {"theme": "The sea", "tune_ids": [tune["id"]], **change}
    errors = api.refused(422, "POST", "/themes", {"theme": theme}).json()
    assert [name.rpartition(".")[2] for name in errors] == [field]
    both = {"theme": "The sea", "tune_ids": [tune["id"], 1]}
    api.refused(422, "POST", "/themes", {"theme": both})
    assert api.page(f"/tunes/{tune['id']}/prompts") == []
