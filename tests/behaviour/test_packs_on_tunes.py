"""Packs on tunes that exist, multi packs, and packs of one's own."""

import pytest

from tests.behaviour.pack_cases import NEW, PACK, WOMAN, run

MADE = {"status": 201, "message": "Prompts created"}


# -- tune_ids --------------------------------------------------------------------------------------
def test_run_with_tune_ids_answers_a_note_and_makes_the_prompts(api, lora):
    answer = run(api, 260, tune_ids=[lora["id"]])
    assert (answer.status_code, answer.json) == (201, MADE)
    prompts = api.get(f"/tunes/{lora['id']}/prompts")
    assert {prompt["orig_prompt_id"] for prompt in prompts} == set(WOMAN)


def test_run_with_several_tunes_makes_the_prompts_of_each_ones_class(api, lora):
    cat = api.tune(title="Cat", name="cat", branch="flux1")
    run(api, 260, tune_ids=[lora["id"], cat["id"]])
    assert {p["orig_prompt_id"] for p in api.get(f"/tunes/{lora['id']}/prompts")} == set(WOMAN)
    cats = {p["orig_prompt_id"] for p in api.get(f"/tunes/{cat['id']}/prompts")}
    assert cats == {18154012, 18154062}


def test_run_fills_in_token_characteristics_and_brief(api):
    tune = api.tune(branch="flux1", token="zwx", characteristics={"eye_color": "grey eyes"})
    run(api, 260, tune_ids=[tune["id"]], prompt_ids=[18757251], brief="autumn colours")
    [prompt] = api.get(f"/tunes/{tune['id']}/prompts")
    assert prompt["text"] == (
        f"<lora:{tune['id']}:1> zwx woman, grey eyes, at a wooden desk, soft morning light, "
        "autumn colours"
    )


def test_characteristics_of_a_run_win_over_the_tunes(api):
    tune = api.tune(branch="flux1", characteristics={"eye_color": "grey eyes"})
    given = {"tune_ids": [tune["id"]], "characteristics": {"eye_color": "red eyes"}}
    run(api, 260, **given)
    assert all("red eyes" in p["text"] for p in api.get(f"/tunes/{tune['id']}/prompts"))


def test_prompt_attributes_replace_those_of_the_templates(api, lora):
    given = {"num_images": 1, "aspect_ratio": "3:4", "seed": 9}
    run(api, 260, tune_ids=[lora["id"]], prompt_attributes=given)
    for prompt in api.get(f"/tunes/{lora['id']}/prompts"):
        assert {key: prompt[key] for key in given} == given


@pytest.mark.parametrize("pack", [260, 3100])
def test_run_with_an_unknown_tune_is_refused(api, other, pack):
    theirs = other.tune()["id"]
    for ids in ([99], [theirs], [1504944, 99]):
        answer = run(api, pack, tune_ids=ids)
        assert (answer.status_code, answer.json) == (422, {"tune_ids": ["must exist"]})
    assert api.get("/prompts") == []


# -- multi packs -----------------------------------------------------------------------------------
def test_multi_pack_puts_every_tune_into_every_prompt_of_one_order(api, faceid):
    dress = api.tune(title="Dress", name="dress", branch="sd15", model_type="faceid")
    ids = [faceid["id"], dress["id"]]
    answer = run(api, 3100, tune_ids=ids)
    assert answer.status_code == 201
    body = answer.json
    assert {key: body[key] for key in MADE} == MADE
    assert set(body) == {"status", "message", "order", "prompt_ids"}
    assert body["order"]["tune_ids"] == ids
    prompts = [api.get(f"/prompts/{id}") for id in body["prompt_ids"]]
    assert [prompt["orig_prompt_id"] for prompt in prompts] == [21000001, 21000002]
    for prompt in prompts:
        assert (prompt["order_id"], prompt["tune_id"]) == (body["order"]["id"], 3618064)
        assert [tune["id"] for tune in prompt["tunes"]] == ids
        assert prompt["aspect_ratio"] == "3:4"
    found = api.get(f"/prompts?order_id={body['order']['id']}")
    assert {prompt["id"] for prompt in found} == set(body["prompt_ids"])
    api.finish()
    assert all(prompt["images"] for prompt in api.get("/prompts"))


@pytest.mark.parametrize("given", [{}, NEW, {"tune_ids": []}])
def test_multi_pack_without_tune_ids_is_refused(api, given):
    answer = run(api, 3100, **given)
    assert (answer.status_code, answer.json) == (422, {"tune_ids": ["can't be blank"]})
    assert api.get("/tunes") == []


# -- own packs -------------------------------------------------------------------------------------
def test_own_pack_is_made_filled_and_run(api, lora):
    given = {"title": "My Spring!", "subtitle": "s", "base_tune_id": 1504944, "model_type": "lora"}
    pack = api.post("/packs", {"pack": given})
    assert set(pack) == PACK
    assert {key: pack[key] for key in given} == given
    assert (pack["slug"], pack["public_at"]) == ("my-spring", None)
    assert [found["id"] for found in api.get("/packs")] == [pack["id"]]
    text = f"<lora:{lora['id']}:1> ohwx woman, {{{{season}}}}"
    template = api.prompt(1504944, text, pack_id=pack["id"], num_images=1, aspect_ratio="3:4")
    assert template["pack_id"] == pack["id"]
    details = api.get("/p/my-spring")
    assert [shown["id"] for shown in details["template_prompts"]] == [template["id"]]
    assert list(details["prompts_per_class"]) == ["woman"]
    made = run(api, pack["id"], **NEW, characteristics={"season": "May"})
    assert made.status_code == 201, made.text
    [prompt] = api.get(f"/tunes/{made.json['id']}/prompts")
    assert prompt["text"].startswith(f"<lora:{made.json['id']}:1> ohwx woman")
    assert (prompt["orig_prompt_id"], prompt["base_pack_id"]) == (template["id"], pack["id"])
    assert (prompt["num_images"], prompt["aspect_ratio"]) == (1, "3:4")
    assert run(api, pack["id"], **{**NEW, "name": "man"}).json == {
        "name": ["is not included in the list"]
    }


def test_own_pack_shows_every_template_of_a_class(api, lora):
    pack = api.post("/packs", {"pack": {"title": "Two", "base_tune_id": 1504944}})
    texts = [f"<lora:{lora['id']}:1> ohwx woman, {place}" for place in ("inside", "outside")]
    made = [api.prompt(1504944, text, pack_id=pack["id"], num_images=1)["id"] for text in texts]
    shown = api.get(f"/p/{pack['id']}")
    assert {row["id"] for row in shown["prompts_per_class"]["woman"]} == set(made)
    assert shown["costs"]["woman"]["num_images"] == 2


def test_characteristics_are_filled_when_an_own_pack_is_run(api, lora):
    """A template keeps its slots: filling them for the first tune would lose them for others."""
    pack = api.post("/packs", {"pack": {"title": "Mine", "base_tune_id": 1504944}})
    text = f"<lora:{lora['id']}:1> ohwx woman, {{{{season}}}}"
    api.prompt(1504944, text, pack_id=pack["id"])
    made = run(api, pack["id"], **NEW, characteristics={"season": "May"}).json
    [prompt] = api.get(f"/tunes/{made['id']}/prompts")
    assert prompt["text"] == f"<lora:{made['id']}:1> ohwx woman, May"


def test_prompt_becomes_a_template_and_stops_being_one_by_patch(api, lora):
    pack = api.post("/packs", {"pack": {"title": "Mine"}})
    prompt = api.prompt(lora["id"], "ohwx woman")
    for place, count in ((pack["id"], 1), (None, 0)):
        change = {"prompt": {"pack_id": place}}
        answer = api.call("PATCH", f"/prompts/{prompt['id']}", json=change)
        assert (answer.status_code, answer.json["pack_id"]) == (200, place)
        assert len(api.get(f"/p/{pack['id']}")["template_prompts"]) == count
        assert len(api.get(f"/prompts?pack_id={pack['id']}")) == count


def test_template_without_a_token_is_refused(api):
    pack = api.post("/packs", {"pack": {"title": "Mine"}})["id"]
    message = {"base": ["Prompt is not using a fine-tuned model"]}
    body = {"prompt": {"text": "ohwx woman", "pack_id": pack}}
    answer = api.call("POST", "/tunes/1504944/prompts", json=body)
    assert (answer.status_code, answer.json) == (422, message)
    prompt = api.prompt(1504944, "ohwx woman")
    change = {"prompt": {"pack_id": pack}}
    answer = api.call("PATCH", f"/prompts/{prompt['id']}", json=change)
    assert (answer.status_code, answer.json) == (422, message)
    assert api.get(f"/p/{pack}")["template_prompts"] == []


@pytest.mark.parametrize("pack_id", [260, 99])
def test_template_of_a_pack_that_is_not_ones_own_is_refused(api, lora, pack_id):
    body = {"prompt": {"text": "a", "pack_id": pack_id}}
    answer = api.call("POST", f"/tunes/{lora['id']}/prompts", json=body)
    assert (answer.status_code, answer.json) == (422, {"pack_id": ["must exist"]})


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({}, {"title": ["can't be blank"]}),
        ({"title": "a", "base_tune_id": 99}, {"base_tune_id": ["must exist"]}),
        ({"title": "a", "model_type": "x"}, {"model_type": ["is not included in the list"]}),
    ],
)
def test_pack_is_refused(api, given, messages):
    answer = api.call("POST", "/packs", json={"pack": given})
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.get("/packs") == []


def test_slugs_of_equal_titles_differ(api):
    title = {"pack": {"title": "Corporate Headshots"}}
    packs = [api.post("/packs", title), api.post("/packs", title)]
    assert len({"corporate-headshots", *(pack["slug"] for pack in packs)}) == 3
    for pack in packs:
        assert api.get(f"/p/{pack['slug']}")["id"] == pack["id"]
    assert api.get("/p/corporate-headshots")["id"] == 260


def test_own_packs_are_listed_newest_first_and_paged(api):
    ids = [api.post("/packs", {"pack": {"title": f"P{at}"}})["id"] for at in range(3)]
    assert [pack["id"] for pack in api.get("/packs")] == ids[::-1]
    assert [pack["id"] for pack in api.get("/packs?limit=1&offset=1")] == [ids[1]]
    assert [pack["id"] for pack in api.get(f"/packs?before_id={ids[1]}")] == [ids[0]]
    assert api.get("/packs?public=true") == []
