"""Tunes are refused, read, changed and deleted."""

import pytest

from tests.behaviour.tune_cases import FIELDS, GALLERY, ONE, created


# -- refusals --------------------------------------------------------------------------------------
@pytest.mark.parametrize("images", [{}, {"image_urls": []}, {"image_urls": [""]}])
def test_tune_without_pictures_is_refused(api, images):
    answer = created(api, title="t", name="man", **images)
    assert answer.status_code == 422
    assert answer.json == {"images": ["must contain at least one image"]}


def test_tune_is_refused_with_all_that_is_wrong_at_once(api):
    answer = created(api, branch="sd3", steps=0, callback="ftp://x")
    assert answer.status_code == 422
    assert answer.json == {
        "title": ["can't be blank"],
        "name": ["can't be blank"],
        "branch": ["is not included in the list"],
        "steps": ["must be greater than or equal to 1"],
        "callback": ["is not a valid URL"],
        "images": ["must contain at least one image"],
    }


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"title": ""}, "title", "can't be blank"),
        ({"title": " "}, "title", "can't be blank"),
        ({"title": None}, "title", "can't be blank"),
        ({"name": ""}, "name", "can't be blank"),
        ({"branch": "sd21"}, "branch", "is not included in the list"),
        ({"model_type": "dreambooth"}, "model_type", "is not included in the list"),
        ({"preset": "mine"}, "preset", "is not included in the list"),
        ({"steps": "many"}, "steps", "must be an integer"),
        ({"steps": 1.5}, "steps", "must be an integer"),
        ({"face_crop": "perhaps"}, "face_crop", "is not a boolean"),
        ({"callback": "example.com/cb"}, "callback", "is not a valid URL"),
        ({"characteristics": "blue"}, "characteristics", "is not an object"),
    ],
)
def test_tune_attribute_is_refused_under_its_name(api, given, field, message):
    answer = created(api, **{"title": "t", "name": "man", "image_urls": ONE, **given})
    assert (answer.status_code, answer.json) == (422, {field: [message]})


def test_bad_picture_address_is_refused(api):
    answer = created(api, title="t", name="man", image_urls=["https://a.test/1", "1.jpg"])
    assert answer.status_code == 422
    assert answer.json == {"image_urls": ["is not a valid URL"]}


@pytest.mark.parametrize(
    ("prompt", "messages"),
    [
        ({"num_images": 2}, {"prompts.text": ["can't be blank"]}),
        (
            {"text": "a", "num_images": 9},
            {"prompts.num_images": ["must be less than or equal to 8"]},
        ),
        (
            {"text": "a", "negative_prompt": "b"},
            {"prompts.negative_prompt": ["not supported on Flux"]},
        ),
    ],
)
def test_nested_prompt_is_refused_with_its_tune(api, prompt, messages):
    answer = created(
        api,
        title="t",
        name="man",
        image_urls=ONE,
        branch="flux1",
        prompts_attributes=[{"text": "fine"}, prompt],
    )
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.get("/tunes") == []
    assert api.get("/prompts") == []


@pytest.mark.parametrize(
    "prompt",
    [
        {"text": "a", "pack_id": 260},
        {"text": "a", "base_pack_id": 99},
        {"text": "a", "workspace_id": 99},
    ],
)
def test_refused_nested_prompt_leaves_no_tune_behind(api, prompt):
    answer = created(api, title="t", name="man", image_urls=ONE, prompts_attributes=[prompt])
    assert answer.status_code == 422, answer.text
    assert api.get("/tunes") == []


# -- reading ---------------------------------------------------------------------------------------
def test_list_is_a_bare_array_newest_first(api):
    ids = [api.tune()["id"] for _ in range(3)]
    found = api.get("/tunes")
    assert [tune["id"] for tune in found] == ids[::-1]
    assert found[0] == api.get(f"/tunes/{ids[-1]}")


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("title=ANN", ["Joanna", "Ann"]),
        ("title=zoe", []),
        ("name[]=man", ["Bob"]),
        ("name[]=man&name[]=cat", ["Bob", "Ann"]),
        ("model_type=lora", ["Joanna"]),
        ("branch=flux1", ["Joanna"]),
        ("branch=fast&name[]=man", ["Bob"]),
        ("page=2&per_page=1", ["Joanna", "Bob", "Ann"]),
    ],
)
def test_list_is_filtered(api, query, titles):
    api.tune(title="Ann", name="cat")
    api.tune(title="Bob", name="man")
    api.tune(title="Joanna", branch="flux1")
    assert [tune["title"] for tune in api.get(f"/tunes?{query}")] == titles


def test_gallery_lists_the_public_base_models_without_own_tunes(api):
    api.tune()
    found = api.get("/gallery/tunes")
    assert {tune["id"] for tune in found} == set(GALLERY)
    assert all(set(tune) == FIELDS and tune["trained_at"] for tune in found)
    assert [t["id"] for t in api.get("/gallery/tunes?branch=sdxl1&title=sdxl")] == [666678]


# -- changing --------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", [{"title": "New"}, {"name": "girl"}])
def test_patch_changes_a_tune(api, change):
    tune = api.tune()
    api.finish()
    before = api.get(f"/tunes/{tune['id']}")
    answer = api.call("PATCH", f"/tunes/{tune['id']}", json={"tune": change})
    assert answer.status_code == 200
    assert answer.json == {**before, **change, "updated_at": answer.json["updated_at"]}
    assert answer.json["updated_at"] > before["updated_at"]
    assert api.get(f"/tunes/{tune['id']}") == answer.json


def test_patch_does_not_touch_other_attributes(api):
    tune = api.tune()
    api.finish()
    given = {"branch": "sd15", "token": "x", "steps": 5, "trained_at": None, "id": 1}
    api.call("PATCH", f"/tunes/{tune['id']}", json={"tune": {**given, "title": "New"}})
    after = api.get(f"/tunes/{tune['id']}")
    assert (after["branch"], after["token"], after["steps"]) == ("fast", "ohwx", None)
    assert after["trained_at"]


def test_patched_characteristics_fill_later_prompts(api):
    tune = api.tune(characteristics={"eyes": "blue"})
    change = {"tune": {"characteristics": {"eyes": "green"}}}
    assert api.call("PATCH", f"/tunes/{tune['id']}", json=change).status_code == 200
    assert api.prompt(tune["id"], "{{eyes}} eyes")["text"] == "green eyes"


def test_patched_title_shows_in_the_tunes_prompts(api, lora):
    checkpoint = api.tune(title="Check")
    on_lora = api.prompt(lora["id"], "a")
    on_checkpoint = api.prompt(checkpoint["id"], "b")
    for tune in (lora, checkpoint):
        api.call("PATCH", f"/tunes/{tune['id']}", json={"tune": {"title": "Renamed"}})
    shown = api.get(f"/prompts/{on_lora['id']}")
    assert shown["tunes"] == [{"id": lora["id"], "title": "Renamed"}]
    assert shown["tune"]["id"] == 1504944
    assert shown["tune"]["title"] != "Renamed"
    assert api.get(f"/prompts/{on_checkpoint['id']}")["tune"]["title"] == "Renamed"


@pytest.mark.parametrize("field", ["title", "name"])
def test_patch_refuses_a_null(api, field):
    tune = api.tune()
    answer = api.call("PATCH", f"/tunes/{tune['id']}", json={"tune": {field: None}})
    assert (answer.status_code, answer.json) == (422, {field: ["can't be blank"]})


# -- deleting --------------------------------------------------------------------------------------
def test_delete_answers_200_without_a_body_and_then_404(api):
    tune = api.tune()
    answer = api.call("DELETE", f"/tunes/{tune['id']}")
    assert (answer.status_code, answer.data) == (200, b"")
    for method in ("GET", "DELETE", "PATCH"):
        assert api.call(method, f"/tunes/{tune['id']}", json={"tune": {}}).status_code == 404
    assert api.get("/tunes") == []


def test_deleted_checkpoint_takes_its_prompts_and_all_files_with_it(api):
    tune = api.tune(prompts_attributes=[{"text": "nested", "num_images": 2}])
    later = api.prompt(tune["id"], "later", num_images=1)
    keeper = api.prompt(api.tune()["id"], "of another tune", num_images=1)
    api.finish()
    done = api.get(f"/tunes/{tune['id']}")
    prompts = api.get(f"/tunes/{tune['id']}/prompts")
    files = [done["ckpt_url"], *done["orig_images"], *(u for p in prompts for u in p["images"])]
    assert len(files) == 1 + 1 + 3
    api.call("DELETE", f"/tunes/{tune['id']}")
    assert api.call("GET", f"/prompts/{later['id']}").status_code == 404
    assert [prompt["id"] for prompt in api.get("/prompts")] == [keeper["id"]]
    assert {api.client.get(url).status_code for url in files} == {404}
    kept = api.get(f"/prompts/{keeper['id']}")["images"]
    assert api.client.get(kept[0]).status_code == 200


def test_deleted_lora_takes_only_the_prompts_made_under_it(api):
    tune = api.tune(branch="flux1", prompts_attributes=[{"text": "nested"}])
    api.prompt(tune["id"], "under it")
    naming = api.prompt(1504944, f"<lora:{tune['id']}:1> on the base", num_images=1)
    api.finish()
    api.call("DELETE", f"/tunes/{tune['id']}")
    assert [prompt["id"] for prompt in api.get("/prompts")] == [naming["id"]]
    [picture] = api.get(f"/prompts/{naming['id']}")["images"]
    assert api.client.get(picture).status_code == 200


def test_deleted_tune_is_never_trained(slow):
    tune = slow.tune(prompts_attributes=[{"text": "waits"}])
    slow.call("DELETE", f"/tunes/{tune['id']}")
    slow.finish()
    assert slow.call("GET", f"/tunes/{tune['id']}").status_code == 404
    assert slow.client.get("/_emulator/jobs").json == []


def test_prompt_on_the_base_ends_when_the_tune_that_it_waits_for_is_deleted(slow):
    tune = slow.tune(branch="flux1")
    waiting = slow.prompt(1504944, f"<lora:{tune['id']}:1> on the base")
    slow.call("DELETE", f"/tunes/{tune['id']}")
    slow.finish()
    assert slow.get(f"/prompts/{waiting['id']}")["trained_at"] is not None


# -- the gallery -----------------------------------------------------------------------------------
@pytest.mark.parametrize("id", GALLERY)
def test_gallery_tune_can_be_read_and_not_changed(api, id):
    before = api.get(f"/tunes/{id}")
    assert (before["id"], before["expires_at"]) == (id, None)
    for method in ("PATCH", "DELETE"):
        answer = api.call(method, f"/tunes/{id}", json={"tune": {"title": "Mine"}})
        assert (answer.status_code, answer.json) == (404, {"status": 404, "error": "Not Found"})
    assert api.get(f"/tunes/{id}") == before


def test_gallery_tune_lists_only_the_callers_own_prompts(api, other):
    mine = api.prompt(690204, "mine")
    other.prompt(690204, "theirs")
    assert [prompt["id"] for prompt in api.get("/tunes/690204/prompts")] == [mine["id"]]
