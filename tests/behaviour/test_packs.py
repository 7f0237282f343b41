"""Packs: reading, the three modes of a run, and packs of one's own."""

from io import BytesIO

import pytest

from tests.behaviour.pack_cases import NEW, PACK, WOMAN, run

DETAILS = {
    "id", "slug", "title", "cover_url", "created_at", "updated_at", "public_at", "unlisted_at",
    "costs", "logo", "prompts_per_class", "template_prompts", "use_multi",
}  # fmt: skip
TUNE = {
    "id", "title", "name", "eta", "trained_at", "started_training_at", "expires_at", "created_at",
    "updated_at", "url", "orig_images",
}  # fmt: skip


# -- reading ---------------------------------------------------------------------------------------
def test_gallery_lists_the_public_packs_without_a_key(api):
    found = api.client.get("/gallery/packs").json
    assert [pack["id"] for pack in found] == [3100, 260]
    assert all(set(pack) == PACK and pack["public_at"] for pack in found)
    assert found == api.client.get("/gallery/packs?public=true&listed=true").json
    assert [pack["id"] for pack in api.client.get("/gallery/packs?limit=1&offset=1").json] == [260]


def test_pack_shows_classes_costs_and_templates(api):
    pack = api.get("/p/260")
    assert set(pack) == DETAILS
    assert set(pack["prompts_per_class"]) == {"man", "woman", "cat"}
    templates = {template["id"]: template for template in pack["template_prompts"]}
    for name, members in pack["prompts_per_class"].items():
        assert pack["costs"][name] == {"cost": 0, "cost_mc": 0, "num_images": 4}
        for member in members:
            assert f"ohwx {name}" in templates[member["id"]]["text"]
            assert set(templates[member["id"]]) == {"id", "cost_mc", "text"}
            [picture] = member["images"]
            assert api.client.get(picture).content_type == "image/jpeg"
    assert api.client.get(pack["cover_url"]).status_code == 200


@pytest.mark.parametrize(
    "place", ["260", "260.json", "corporate-headshots", "corporate-headshots.json", "260/"]
)
def test_pack_is_found_by_number_and_by_slug(api, place):
    assert api.get(f"/p/{place}")["id"] == 260


@pytest.mark.parametrize("place", ["1", "no-such-pack", "99999999999999999999999", "a.b", "-"])
def test_unknown_pack_is_not_found(api, place):
    for method, path in (("GET", f"/p/{place}"), ("POST", f"/p/{place}/tunes")):
        answer = api.call(method, path, json={"tune": NEW})
        assert (answer.status_code, answer.json) == (404, {"status": 404, "error": "Not Found"})


@pytest.mark.parametrize("field", ["debug_images", "comments"])
def test_expand_adds_fields_to_a_packs_templates(api, field):
    for template in api.get(f"/p/260?expand[]=prompt.{field}")["template_prompts"]:
        assert template[field] == []
    assert field not in api.get("/p/260")["template_prompts"][0]


# -- training --------------------------------------------------------------------------------------
def test_run_with_pictures_answers_a_short_tune(api):
    answer = run(api, 260, **NEW)
    assert answer.status_code == 201
    assert set(answer.json) == TUNE
    assert (answer.json["title"], answer.json["name"]) == ("Jane", "woman")
    assert answer.json["trained_at"] is None
    tune = api.get(f"/tunes/{answer.json['id']}")
    assert (tune["base_tune_id"], tune["model_type"]) == (1504944, "lora")


def test_run_with_pictures_makes_the_prompts_of_the_class(api):
    given = {"characteristics": {"eye_color": "green eyes"}}
    tune = run(api, 260, **NEW, **given).json
    prompts = api.get(f"/tunes/{tune['id']}/prompts")
    assert {prompt["orig_prompt_id"] for prompt in prompts} == set(WOMAN)
    texts = {t["id"]: t["text"] for t in api.get("/p/260")["template_prompts"]}
    for prompt in prompts:
        text = texts[prompt["orig_prompt_id"]].replace("{{eye_color}}", "green eyes")
        assert prompt["text"] == f"<lora:{tune['id']}:1> {text}"
        assert (prompt["tune_id"], prompt["base_pack_id"]) == (1504944, 260)
        assert prompt["pack_id"] is None
        assert prompt["tunes"] == [{"id": tune["id"], "title": "Jane"}]
    api.finish()
    assert all(len(prompt["images"]) == 2 for prompt in api.get("/prompts"))


def test_run_with_pictures_takes_files_and_prompt_attributes_by_form(api, photo):
    data = {
        "tune[title]": "Cat",
        "tune[name]": "cat",
        "tune[images][]": [(BytesIO(photo("red")), "1.jpg"), (BytesIO(photo("blue")), "2.jpg")],
        "tune[prompt_attributes][num_images]": "1",
        "tune[prompt_attributes][callback]": "http://127.0.0.1:9/done",
        "tune[characteristics]": '{"eye_color": "amber eyes"}',
    }
    answer = api.call("POST", "/p/260/tunes", data=data)
    assert answer.status_code == 201, answer.text
    files = [api.client.get(url).data for url in answer.json["orig_images"]]
    assert files == [photo("red"), photo("blue")]
    prompts = api.get(f"/tunes/{answer.json['id']}/prompts")
    assert len(prompts) == 2
    for prompt in prompts:
        assert (prompt["num_images"], prompt["callback"]) == (1, "http://127.0.0.1:9/done")
        assert "amber eyes" in prompt["text"]


def test_run_uses_only_the_templates_that_prompt_ids_names(api):
    tune = run(api, 260, **NEW, prompt_ids=[18757251]).json
    [prompt] = api.get(f"/tunes/{tune['id']}/prompts")
    assert prompt["orig_prompt_id"] == 18757251


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({"name": "dragon"}, {"name": ["is not included in the list"]}),
        ({"name": None}, {"name": ["can't be blank"]}),
        ({"name": ""}, {"name": ["can't be blank"]}),
        ({"title": ""}, {"title": ["can't be blank"]}),
        ({"image_urls": []}, {"images": ["must contain at least one image"]}),
        (
            {"title": "", "name": "", "image_urls": []},
            {
                "title": ["can't be blank"],
                "name": ["can't be blank"],
                "images": ["must contain at least one image"],
            },
        ),
        ({"prompt_ids": [1]}, {"prompt_ids": ["must exist"]}),
        ({"prompts_callback": "x"}, {"prompts_callback": ["is not a valid URL"]}),
        (
            {"prompt_attributes": {"num_images": 9}},
            {"prompt_attributes.num_images": ["must be less than or equal to 8"]},
        ),
        (
            {"prompt_attributes": {"workspace_id": 99}},
            {"prompt_attributes.workspace_id": ["must exist"]},
        ),
    ],
)
def test_run_is_refused_and_makes_nothing(api, given, messages):
    answer = run(api, 260, **{**NEW, **given})
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.get("/tunes") == []
    assert api.get("/prompts") == []


def test_run_that_the_packs_model_refuses_leaves_no_tune_behind(api):
    answer = run(api, 260, **NEW, prompt_attributes={"negative_prompt": "hats"})
    assert answer.status_code == 422
    assert api.get("/tunes") == []
    assert api.get("/prompts") == []
