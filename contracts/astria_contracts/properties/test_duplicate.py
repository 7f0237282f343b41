"""A copy is a new prompt that knows its original, with the changes that were asked for."""

from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.world import World
from astria_contracts.spec.document import JSON, MULTIPART, URLENCODED
from astria_contracts.spec.encoding import picture

# What a copy does not share with its original.
OWN = {"id", "url", "created_at", "updated_at", "started_training_at", "trained_at", "images"}
OWN |= {"orig_prompt_id", "seed", "input_image"}


def test_copy_is_a_new_prompt_with_the_same_attributes(api: Api, world: World) -> None:
    sent: dict[str, Any] = {
        "text": "ohwx woman at sea",
        "negative_prompt": "hat",
        "cfg_scale": 4,
        "steps": 20,
    }
    sent |= {"aspect_ratio": "3:4", "style": "Line art", "num_images": 2, "w": 128, "seed": 4}
    first = api.final(f"/prompts/{api.prompt(world.tune['id'], **sent)['id']}")
    copy = api.ok("POST", f"/prompts/{first['id']}/duplicate")
    assert copy["id"] > first["id"]
    assert (copy["orig_prompt_id"], copy["trained_at"], copy["images"]) == (first["id"], None, [])
    assert {k: v for k, v in copy.items() if k not in OWN} == {
        k: v for k, v in first.items() if k not in OWN
    }
    assert copy["seed"] == 4
    assert len(api.final(f"/prompts/{copy['id']}")["images"]) == 2
    assert api.get(f"/prompts/{first['id']}") == first
    assert api.get(f"/tunes/{world.tune['id']}/prompts", limit=1)[0]["id"] == copy["id"]


@pytest.mark.parametrize("kind", [JSON, URLENCODED, MULTIPART])
def test_copy_takes_changes(api: Api, world: World, kind: str) -> None:
    changes = {"text": "ohwx woman, changed", "seed": 77, "num_images": 1, "w": 64}
    path = f"/prompts/{world.prompt['id']}/duplicate"
    copy = api.ok("POST", path, {"prompt": changes}, media_type=kind)
    assert {name: copy[name] for name in changes} == changes


def test_copy_refuses_a_wrong_change(api: Api, world: World) -> None:
    path = f"/prompts/{world.prompt['id']}/duplicate"
    before = api.get("/prompts", limit=1)[0]["id"]
    errors = api.refused(422, "POST", path, {"prompt": {"num_images": 9, "seed": -1}}).json()
    assert set(errors) == {"num_images", "seed"}
    for index in (len(world.prompt["images"]), 7):
        errors = api.refused(422, "POST", path, {"image_index": index}).json()
        assert list(errors) == ["image_index"]
    assert api.get("/prompts", limit=1)[0]["id"] == before


@pytest.mark.parametrize("index", [0, 1])
def test_copy_starts_from_one_of_the_originals_pictures(api: Api, world: World, index: int) -> None:
    path = f"/prompts/{world.prompt['id']}/duplicate"
    for kind in (JSON, URLENCODED):
        copy = api.ok("POST", path, {"image_index": index, "prompt": {"seed": 1}}, media_type=kind)
        start, original = copy["input_image"], world.prompt["images"][index]
        assert api.fetch(start).content == api.fetch(original).content


def test_copy_keeps_its_input_when_the_original_is_gone(api: Api, world: World) -> None:
    file = picture(11)
    first = api.prompt(world.tune["id"], media_type=MULTIPART, input_image=file, num_images=1)
    copy = api.ok("POST", f"/prompts/{first['id']}/duplicate")
    api.ok("DELETE", f"/prompts/{first['id']}")
    assert api.fetch(api.get(f"/prompts/{copy['id']}")["input_image"]).content == file.content


def test_copies_are_found_by_their_original(api: Api, world: World) -> None:
    first = api.prompt(world.tune["id"], num_images=1)
    copies = [api.ok("POST", f"/prompts/{first['id']}/duplicate")["id"] for _ in range(2)]
    assert api.ids("/prompts", orig_prompt_id=first["id"]) == copies[::-1]


@pytest.mark.needs("paid")
def test_copy_of_a_moved_prompt_moves_as_well(api: Api, world: World) -> None:
    first = api.prompt(world.lora["id"], text="ohwx woman", num_images=1)
    copy = api.ok("POST", f"/prompts/{first['id']}/duplicate")
    for name in ("text", "tune_id", "tunes", "tune"):
        assert copy[name] == first[name]
    assert copy["id"] in api.ids(f"/tunes/{world.lora['id']}/prompts")
