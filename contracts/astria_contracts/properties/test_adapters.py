"""A prompt under a LoRA or FaceID tune moves to the base, and is found under both."""

from typing import Any

import pytest

from astria_contracts.client.api import FLUX, STABLE_DIFFUSION, Api
from astria_contracts.client.world import World
from astria_contracts.spec.document import JSON, URLENCODED

pytestmark = pytest.mark.needs("paid")
FEW: dict[str, Any] = {"num_images": 1}


def test_prompt_under_a_lora_moves_to_the_base(api: Api, world: World) -> None:
    lora = world.lora
    for kind in (JSON, URLENCODED):
        made = api.prompt(lora["id"], text="ohwx woman", media_type=kind, **FEW)
        assert (made["tune_id"], made["tune"]["id"]) == (FLUX, FLUX)
        assert made["tunes"] == [{"id": lora["id"], "title": lora["title"]}]
        assert made["text"] == f"<lora:{lora['id']}:1> ohwx woman"
        assert made["url"].endswith(f"/tunes/{FLUX}/prompts/{made['id']}.json")


def test_prompt_by_body_moves_as_well(api: Api, world: World) -> None:
    body = {"prompt": {"tune_id": world.lora["id"], "text": "ohwx woman", **FEW}}
    made = api.ok("POST", "/prompts", body)
    assert (made["tune_id"], [tune["id"] for tune in made["tunes"]]) == (FLUX, [world.lora["id"]])
    assert made["text"] == f"<lora:{world.lora['id']}:1> ohwx woman"


def test_text_that_names_the_lora_stays_as_it_is(api: Api, world: World) -> None:
    text = f"ohwx woman <lora:{world.lora['id']}:0.8>, at sea"
    made = api.prompt(world.lora["id"], text=text, **FEW)
    assert (made["text"], made["tune_id"]) == (text, FLUX)
    assert [tune["id"] for tune in made["tunes"]] == [world.lora["id"]]


def test_nested_prompt_moves_with_its_scale(api: Api) -> None:
    nested = [{"text": "one", "lora_scale": 0.7, **FEW}, {"text": "two", **FEW}]
    lora = api.lora(prompts_attributes=nested)
    found = api.page(f"/tunes/{lora['id']}/prompts")[::-1]
    assert [prompt["text"] for prompt in found] == [
        f"<lora:{lora['id']}:0.7> one",
        f"<lora:{lora['id']}:1> two",
    ]
    assert {prompt["tune_id"] for prompt in found} == {FLUX}


def test_prompt_on_the_base_shows_the_tunes_that_its_text_names(api: Api, world: World) -> None:
    second = api.lora()
    ids = [world.lora["id"], second["id"]]
    text = f"<lora:{ids[0]}:1> and <lora:{ids[1]}:0.5>, <lora:{ids[0]}:1> again"
    made = api.prompt(FLUX, text=text, **FEW)
    assert ([tune["id"] for tune in made["tunes"]], made["tune_id"]) == (ids, FLUX)
    for id in ids:
        assert made["id"] in api.ids(f"/tunes/{id}/prompts")


def test_moved_prompt_is_found_under_the_base_under_the_lora_and_alone(
    api: Api, world: World
) -> None:
    id = api.prompt(world.lora["id"], **FEW)["id"]
    shown = api.final(f"/prompts/{id}")
    for tune in (FLUX, world.lora["id"]):
        assert api.get(f"/tunes/{tune}/prompts/{id}") == shown
        assert api.get(f"/tunes/{tune}/prompts", limit=1) == [shown]
    assert api.get("/prompts", tune_id=world.lora["id"], limit=1) == [shown]
    api.refused(404, "GET", f"/tunes/{world.tune['id']}/prompts/{id}")
    assert id not in api.ids(f"/tunes/{world.tune['id']}/prompts")


def test_prompt_waits_for_the_lora_that_it_names(api: Api) -> None:
    lora = api.lora()
    made = api.prompt(FLUX, text=f"<lora:{lora['id']}:1> ohwx woman", **FEW)
    ended = api.final(f"/prompts/{made['id']}")
    assert ended["started_training_at"] >= api.get(f"/tunes/{lora['id']}")["trained_at"]


def test_prompt_under_a_faceid_tune_moves_to_the_base(api: Api) -> None:
    face = api.faceid()
    made = api.prompt(face["id"], text="a woman at sea", **FEW)
    assert (made["tune_id"], made["text"]) == (
        STABLE_DIFFUSION,
        f"<faceid:{face['id']}:1> a woman at sea",
    )
    assert [tune["id"] for tune in made["tunes"]] == [face["id"]]


def test_prompt_under_a_checkpoint_stays(api: Api, world: World) -> None:
    made = api.prompt(world.tune["id"], text="ohwx woman", **FEW)
    assert (made["tune_id"], made["tunes"], made["text"]) == (world.tune["id"], [], "ohwx woman")


def test_gallery_lists_only_the_callers_own_prompts(api: Api, world: World) -> None:
    mine = api.prompt(FLUX, **FEW)
    assert api.ids(f"/tunes/{FLUX}/prompts")[0] == mine["id"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"branch": "flux1", "model_type": None}, ("flux1", "lora")),
        ({"branch": "sdxl1", "model_type": "lora"}, ("sdxl1", "pti")),
        ({"branch": "sd15", "model_type": "lora"}, ("sd15", "lora")),
        ({"branch": "sd15", "model_type": None}, ("sd15", None)),
        ({"branch": None, "base_tune_id": FLUX}, ("flux1", "lora")),
        ({"branch": None, "base_tune_id": None}, ("sd15", None)),
    ],
)
def test_kind_of_a_tune_follows_from_branch_and_base(
    api: Api, asked: dict[str, Any], shown: tuple[str, str | None]
) -> None:
    made = api.tune(**asked)
    assert (made["branch"], made["model_type"]) == shown
    assert made["token"] == ("sks" if shown[0] == "sd15" else "ohwx")
    assert made["base_tune_id"] == asked.get("base_tune_id")
