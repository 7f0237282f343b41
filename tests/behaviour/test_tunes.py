"""Tunes: what is checked, what is answered, what changes and what goes."""

import re
from datetime import UTC, datetime, timedelta

import pytest

FIELDS = {
    "id", "title", "name", "is_api", "token", "eta", "callback", "trained_at",
    "started_training_at", "expires_at", "created_at", "model_type", "updated_at", "base_tune_id",
    "branch", "args", "steps", "face_crop", "training_face_correct", "ckpt_url", "ckpt_urls", "url",
    "orig_images", "cost_mc",
}  # fmt: skip
TIMES = ("created_at", "started_training_at", "trained_at", "updated_at", "eta", "expires_at")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
GALLERY = (690204, 666678, 1504944, 3618064, 3691308, 4665564)
ONE = ["https://example.com/1.jpg"]


def moment(text):
    assert TIMESTAMP.fullmatch(text), text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def created(api, **attributes):
    """POST /tunes with exactly these attributes; the response."""
    return api.call("POST", "/tunes", json={"tune": attributes})


# -- the object ------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [{}, {"branch": "flux1"}, {"branch": "sd15"}])
def test_tune_has_exactly_the_recorded_fields_before_and_after_training(slow, kind):
    tune = slow.tune(**kind, characteristics={"a": "b"}, preset="flux-lora-focus", auto_extend=True)
    assert set(tune) == FIELDS
    slow.finish()
    assert set(slow.get(f"/tunes/{tune['id']}")) == FIELDS


def test_tune_is_empty_before_it_is_trained(slow):
    tune = slow.tune()
    assert {key: tune[key] for key in FIELDS - {"id", "url", "orig_images", "eta"}} == {
        "title": "Jane",
        "name": "woman",
        "is_api": True,
        "token": "ohwx",
        "callback": None,
        "trained_at": None,
        "started_training_at": None,
        "expires_at": None,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        "model_type": None,
        "base_tune_id": None,
        "branch": "fast",
        "args": None,
        "steps": None,
        "face_crop": False,
        "training_face_correct": False,
        "ckpt_url": None,
        "ckpt_urls": [],
        "cost_mc": 0,
    }
    assert tune["eta"] == "2026-01-01T00:01:00.000Z"


def test_tune_has_times_and_weights_when_it_is_trained(slow):
    tune = slow.tune()
    slow.finish()
    done = slow.get(f"/tunes/{tune['id']}")
    assert done["eta"] == done["trained_at"]
    assert moment(done["expires_at"]) - moment(done["trained_at"]) == timedelta(days=30)
    assert done["ckpt_urls"] == [done["ckpt_url"]]
    assert done["ckpt_url"].startswith("http://localhost/")
    unchanged = FIELDS - set(TIMES) - {"ckpt_url", "ckpt_urls"}
    assert {key: done[key] for key in unchanged} == {key: tune[key] for key in unchanged}


def test_tune_times_have_milliseconds_and_come_in_order(api):
    tune = api.tune()
    api.finish()
    done = api.get(f"/tunes/{tune['id']}")
    made, started, trained, updated, _, expires = (moment(done[name]) for name in TIMES)
    assert made <= started < trained <= updated < expires


def test_tune_is_started_but_not_trained_while_it_trains(slow):
    tune = slow.tune()
    training = slow.get(f"/tunes/{tune['id']}")
    assert training["started_training_at"] == tune["created_at"]
    assert training["trained_at"] is None
    assert training["expires_at"] is None


def test_tune_echoes_what_it_was_given(api):
    given = {
        "callback": "http://127.0.0.1:9/cb?a={ID}&b=%20",
        "steps": 300,
        "token": "zwx",
        "face_crop": True,
        "training_face_correct": True,
        "base_tune_id": 690204,
    }
    tune = api.tune(**given)
    assert {key: tune[key] for key in given} == given
    assert api.get(f"/tunes/{tune['id']}")["callback"] == given["callback"]


def test_tune_ids_ascend_above_every_gallery_id(api):
    first, second = api.tune()["id"], api.tune()["id"]
    assert max(GALLERY) < first < second


def test_tune_url_leads_to_the_tune(api):
    tune = api.tune()
    assert tune["url"] == f"http://localhost/tunes/{tune['id']}.json"
    assert api.get(tune["url"])["id"] == tune["id"]


def test_urls_keep_the_host_that_a_tune_was_created_through(api):
    body = {"tune": {"title": "t", "name": "man", "branch": "fast", "image_urls": ONE}}
    made = api.post("/tunes", body, base_url="http://127.0.0.1:81")
    seen = api.get(f"/tunes/{made['id']}")
    assert seen["url"].startswith("http://127.0.0.1:81/tunes/")
    assert seen["orig_images"][0].startswith("http://127.0.0.1:81/")


def test_urls_are_on_the_public_url_when_one_is_configured(make_api):
    api = make_api(public_url="https://emulator.test/")
    tune = api.tune()
    assert tune["url"] == f"https://emulator.test/tunes/{tune['id']}.json"
    assert tune["orig_images"][0].startswith("https://emulator.test/")


@pytest.mark.parametrize("count", [1, 2, 9])
def test_tune_has_one_original_picture_for_each_one_sent(api, count):
    tune = api.tune(image_urls=[f"https://example.com/{at}.jpg" for at in range(count)])
    assert len(set(tune["orig_images"])) == count
    assert api.get(f"/tunes/{tune['id']}")["orig_images"] == tune["orig_images"]


def test_nested_prompts_are_not_echoed_but_are_found_under_the_tune(api):
    tune = api.tune(prompts_attributes=[{"text": "one"}, {"text": "two"}])
    assert "prompts" not in tune
    assert "prompts_attributes" not in tune
    found = api.get(f"/tunes/{tune['id']}/prompts")
    assert [prompt["text"] for prompt in found] == ["two", "one"]


# -- branches, kinds and bases ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "branch", "model_type", "token"),
    [
        ({}, "sd15", None, "sks"),
        ({"branch": "sd15"}, "sd15", None, "sks"),
        ({"branch": "sd15", "model_type": "lora"}, "sd15", "lora", "sks"),
        ({"branch": "sdxl1"}, "sdxl1", "pti", "ohwx"),
        ({"branch": "sdxl1", "model_type": "lora"}, "sdxl1", "pti", "ohwx"),
        ({"branch": "flux1"}, "flux1", "lora", "ohwx"),
        ({"branch": "flux1", "model_type": "pti"}, "flux1", "lora", "ohwx"),
        ({"branch": "flux1", "model_type": "faceid"}, "flux1", "faceid", None),
        ({"branch": "sdxl1", "model_type": "faceid"}, "sdxl1", "faceid", None),
        ({"branch": "fast"}, "fast", None, "ohwx"),
        ({"branch": "fast", "base_tune_id": 690204}, "fast", None, "ohwx"),
        ({"base_tune_id": 690204}, "sd15", None, "sks"),
        ({"base_tune_id": 666678}, "sdxl1", "pti", "ohwx"),
        ({"base_tune_id": 1504944}, "flux1", "lora", "ohwx"),
        ({"base_tune_id": 1504944, "model_type": "lora"}, "flux1", "lora", "ohwx"),
        ({"base_tune_id": 3618064, "model_type": "faceid"}, "gemini-2", "faceid", None),
        ({"base_tune_id": 3691308, "model_type": "faceid"}, "partner-1", "faceid", None),
    ],
)
def test_tune_kind_follows_from_branch_and_base(api, given, branch, model_type, token):
    answer = created(api, title="t", name="man", image_urls=ONE, **given)
    assert answer.status_code == 201, answer.text
    tune = answer.json
    assert (tune["branch"], tune["model_type"], tune["token"]) == (branch, model_type, token)
    assert tune["base_tune_id"] == given.get("base_tune_id")


def test_own_tune_is_a_base_and_gives_its_branch(api):
    base = api.tune(branch="sd15")
    assert created(api, title="t", name="man", image_urls=ONE, base_tune_id=base["id"]).json[
        "branch"
    ] == ("sd15")


@pytest.mark.parametrize("unknown", [1, 5_999_999, 2**63 - 1])
def test_unknown_base_is_refused(api, unknown):
    answer = created(api, title="t", name="man", image_urls=ONE, base_tune_id=unknown)
    assert (answer.status_code, answer.json) == (422, {"base_tune_id": ["must exist"]})


def test_base_of_another_account_is_refused_like_an_unknown_one(api, other):
    answer = created(api, title="t", name="man", image_urls=ONE, base_tune_id=other.tune()["id"])
    assert (answer.status_code, answer.json) == (422, {"base_tune_id": ["must exist"]})


@pytest.mark.parametrize("branch", ["sd15", "flux1", "sdxl1"])
def test_faceid_tune_is_trained_as_it_is_made(slow, branch):
    tune = slow.tune(branch=branch, model_type="faceid")
    now = tune["created_at"]
    assert [tune[name] for name in ("trained_at", "started_training_at", "eta")] == [now] * 3
    assert moment(tune["expires_at"]) - moment(now) == timedelta(days=30)
    assert tune["token"] is None
    assert (tune["ckpt_url"], tune["ckpt_urls"]) == (None, [])


def test_faceid_tune_shows_the_token_that_it_was_given(api):
    assert api.tune(branch="sd15", model_type="faceid", token="ohwx")["token"] == "ohwx"


@pytest.mark.parametrize(
    ("given", "has_file"),
    [
        ({"branch": "fast"}, True),
        ({"branch": "sd15"}, True),
        ({"branch": "sd15", "model_type": "lora"}, True),
        ({"branch": "sdxl1"}, True),
        ({"branch": "flux1"}, False),
        ({"branch": "sd15", "model_type": "faceid"}, False),
    ],
)
def test_trained_tune_hands_out_weights_by_kind(api, given, has_file):
    tune = api.tune(**given)
    api.finish()
    done = api.get(f"/tunes/{tune['id']}")
    assert bool(done["ckpt_url"]) is has_file
    assert done["ckpt_urls"] == ([done["ckpt_url"]] if has_file else [])


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
