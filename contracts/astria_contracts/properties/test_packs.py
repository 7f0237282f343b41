"""Packs in their three modes: train a tune, use tunes that exist, show several at once."""

from typing import Any

import pytest

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.sample_requests import URLS
from astria_contracts.client.world import World

pytestmark = pytest.mark.needs("paid")


def run(api: Api, slug: Any, **attributes: Any) -> Any:
    return api.ok("POST", f"/p/{slug}/tunes", {"tune": attributes})


def subject(api: Api, **more: Any) -> dict[str, Any]:
    return {"title": api.unique("Run"), "name": "woman", "image_urls": URLS, **more}


@pytest.fixture(scope="module")
def own(api: Api) -> Any:
    """A pack of the account's own with two templates, which it lists newest first."""
    kind = {"base_tune_id": FLUX, "model_type": "lora"}
    pack = api.ok("POST", "/packs", {"pack": {"title": api.unique("Own pack"), **kind}})
    lora = api.lora(auto_extend=True)
    for text in ("ohwx woman, {{hair}}, at sea", "a {{mood}} ohwx woman"):
        named = f"<lora:{lora['id']}:1> {text}"
        api.prompt(FLUX, text=named, pack_id=pack["id"], num_images=2, seed=3)
    return pack


@pytest.fixture(scope="module")
def multi(api: Api) -> Any:
    """A public pack whose prompts show several tunes at once."""
    packs = [api.get(f"/p/{pack['slug']}") for pack in api.get("/gallery/packs", limit=100)]
    found = [pack for pack in packs if pack.get("use_multi")]
    if not found:
        pytest.skip("the gallery has no pack for several tunes")
    return found[0]


@pytest.fixture(scope="module")
def face(api: Api) -> Any:
    """A FaceID tune, which packs for several tunes show."""
    return api.faceid(auto_extend=True)


def templates(pack: Any, name: str) -> list[int]:
    return sorted(template["id"] for template in pack["prompts_per_class"][name])


def originals(prompts: list[Any]) -> list[int]:
    return sorted(prompt["orig_prompt_id"] for prompt in prompts)


# -- reading ---------------------------------------------------------------------------------------
def test_pack_is_found_by_number_and_by_slug(api: Api, world: World) -> None:
    pack = world.pack
    assert api.get(f"/p/{pack['id']}") == api.get(f"/p/{pack['slug']}") == pack


def test_gallery_lists_the_public_packs_newest_first_without_a_key(api: Api, world: World) -> None:
    listed = api.ok("GET", "/gallery/packs", query={"limit": 100}, key="")
    assert world.pack["id"] in [pack["id"] for pack in listed]
    assert all(pack["public_at"] for pack in listed)
    assert api.get("/gallery/packs", limit=1) == listed[:1]
    assert api.get("/gallery/packs", limit=1, offset=1) == listed[1:2]
    assert api.get("/gallery/packs", before_id=listed[0]["id"], limit=1) == listed[1:2]


def test_pack_shows_its_classes_costs_and_templates(api: Api, world: World) -> None:
    pack = world.pack
    assert set(pack["costs"]) == set(pack["prompts_per_class"])
    listed = [one["id"] for of in pack["prompts_per_class"].values() for one in of]
    assert sorted(listed) == sorted(one["id"] for one in pack["template_prompts"])
    expanded = api.get(f"/p/{pack['slug']}", **{"expand[]": "prompt.debug_images"})
    assert all("debug_images" in template for template in expanded["template_prompts"])
    assert all("debug_images" not in template for template in pack["template_prompts"])


def test_own_packs_are_listed_and_not_public(api: Api, own: Any) -> None:
    assert own["id"] in api.ids("/packs")
    assert own["id"] not in [pack["id"] for pack in api.get("/gallery/packs", limit=100)]
    assert own["id"] not in [pack["id"] for pack in api.get("/packs", public="true")]


# -- mode 1: train ---------------------------------------------------------------------------------
def test_run_with_pictures_trains_and_makes_the_prompts_of_the_class(
    api: Api, world: World
) -> None:
    asked = subject(api, characteristics={"eye_color": "grey eyes"})
    made = run(api, world.pack["slug"], **asked)
    assert (made["title"], made["name"], len(made["orig_images"])) == (asked["title"], "woman", 1)
    prompts = api.page(f"/tunes/{made['id']}/prompts")
    assert originals(prompts) == templates(world.pack, "woman")
    texts = {one["id"]: one["text"] for one in world.pack["template_prompts"]}
    tune = api.get(f"/tunes/{made['id']}")
    for prompt in prompts:
        assert prompt["base_pack_id"] == world.pack["id"]
        words = texts[prompt["orig_prompt_id"]].replace("{{eye_color}}", "grey eyes")
        assert prompt["text"].endswith(words.replace("ohwx", tune["token"]))
        assert [one["id"] for one in prompt["tunes"]] == [made["id"]]
        assert api.final(f"/prompts/{prompt['id']}")["images"]


def test_run_uses_only_the_templates_that_it_names(api: Api, world: World) -> None:
    first = templates(world.pack, "woman")[:1]
    made = run(api, world.pack["slug"], **subject(api, prompt_ids=first))
    assert originals(api.page(f"/tunes/{made['id']}/prompts")) == first


def test_attributes_of_a_run_replace_the_templates(api: Api, world: World) -> None:
    more = {"num_images": 1, "seed": 9, "aspect_ratio": "16:9"}
    made = run(api, world.pack["slug"], **subject(api, prompt_attributes=more))
    for prompt in api.page(f"/tunes/{made['id']}/prompts"):
        assert {name: prompt[name] for name in more} == more


def test_run_that_is_refused_says_why_and_makes_nothing(api: Api, world: World) -> None:
    before = api.ids("/tunes"), [prompt["id"] for prompt in api.get("/prompts", limit=5)]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"title": None}, "title"),
        ({"name": None}, "name"),
        ({"name": "no such class"}, "name"),
        ({"image_urls": None}, "images"),
        ({"prompt_ids": [1]}, "prompt_ids"),
        ({"tune_ids": [1]}, "tune_ids"),
        ({"prompt_attributes": {"num_images": 9}}, "num_images"),
    ]
    for change, field in wrong:
        asked = {name: item for name, item in subject(api, **change).items() if item is not None}
        errors = api.refused(422, "POST", f"/p/{world.pack['slug']}/tunes", {"tune": asked}).json()
        assert [name.rpartition(".")[2] for name in errors] == [field], change
    after = api.ids("/tunes"), [prompt["id"] for prompt in api.get("/prompts", limit=5)]
    assert after == before


# -- mode 2: tunes that exist ----------------------------------------------------------------------
def test_run_on_tunes_makes_the_prompts_of_each(api: Api, world: World) -> None:
    tunes = [api.tune(name=name) for name in ("woman", "man")]
    made = run(api, world.pack["slug"], tune_ids=[tune["id"] for tune in tunes], brief="at dusk")
    assert made == {"status": 201, "message": "Prompts created"}
    for tune in tunes:
        prompts = api.page(f"/tunes/{tune['id']}/prompts")
        assert originals(prompts) == templates(world.pack, tune["name"])
        assert all(prompt["text"].endswith("at dusk") for prompt in prompts)
        assert all(prompt["base_pack_id"] == world.pack["id"] for prompt in prompts)


def test_templates_of_an_own_pack_are_filled(api: Api, own: Any) -> None:
    tune = api.lora(token="zwx", characteristics={"hair": "red hair", "mood": "calm"})
    run(api, own["slug"], tune_ids=[tune["id"]])
    texts = [prompt["text"] for prompt in api.page(f"/tunes/{tune['id']}/prompts")]
    assert texts == [
        f"<lora:{tune['id']}:1> a calm zwx woman",
        f"<lora:{tune['id']}:1> zwx woman, red hair, at sea",
    ]
    run(api, own["slug"], tune_ids=[tune["id"]], characteristics={"hair": "no hair"})
    texts = [prompt["text"] for prompt in api.get(f"/tunes/{tune['id']}/prompts", limit=2)]
    assert texts[1] == f"<lora:{tune['id']}:1> zwx woman, no hair, at sea"


def test_template_needs_a_tune_in_its_text(api: Api, own: Any) -> None:
    body = {"prompt": {"text": "ohwx woman", "pack_id": own["id"]}}
    errors = api.refused(422, "POST", f"/tunes/{FLUX}/prompts", body).json()
    assert errors == {"base": ["Prompt is not using a fine-tuned model"]}


# -- mode 3: several at once -----------------------------------------------------------------------
def test_run_for_several_tunes_shows_all_in_every_prompt(api: Api, multi: Any, face: Any) -> None:
    dress = api.faceid(name="dress")
    both = [face["id"], dress["id"]]
    made = run(api, multi["slug"], tune_ids=both)
    assert (made["status"], made["order"]["tune_ids"]) == (201, both)
    prompts = [api.get(f"/prompts/{id}") for id in made["prompt_ids"]]
    assert originals(prompts) == sorted(one["id"] for one in multi["template_prompts"])
    for prompt in prompts:
        assert [tune["id"] for tune in prompt["tunes"]] == both
        assert all(f"<faceid:{id}:1>" in prompt["text"] for id in both)
        assert (prompt["order_id"], prompt["base_pack_id"]) == (made["order"]["id"], multi["id"])
    of_order = api.page("/prompts", order_id=made["order"]["id"])
    assert sorted(prompt["id"] for prompt in of_order) == sorted(made["prompt_ids"])


def test_run_for_several_tunes_needs_them(api: Api, multi: Any) -> None:
    errors = api.refused(422, "POST", f"/p/{multi['slug']}/tunes", {"tune": subject(api)}).json()
    assert list(errors) == ["tune_ids"]
