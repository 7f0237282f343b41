"""Prompts: defaults, echoes, re-homing, lookups, refusals, deletion."""

from io import BytesIO

import pytest

FIELDS = {
    "id", "callback", "trained_at", "started_training_at", "created_at", "updated_at", "tune_id",
    "prompt_likes_count", "base_pack_id", "input_image", "mask_image", "text", "negative_prompt",
    "cfg_scale", "steps", "super_resolution", "ar", "num_images", "seed",
    "controlnet_conditioning_scale", "controlnet_txt2img", "denoising_strength", "style", "w", "h",
    "url", "images", "liked", "tune", "tunes", "aspect_ratio", "resolution", "pack_id", "order_id",
    "workspace_id", "cost_mc", "user_error",
}  # fmt: skip
# Accepted, or looked for by clients, but in no recorded answer.
NEVER = {
    "scheduler", "inpaint_faces", "face_correct", "hires_fix", "face_swap", "use_lpw", "controlnet",
    "status", "state", "debug_images", "debug_filenames", "debug_content_types", "comments",
    "progress_timing_seconds", "progress_elapsed_seconds", "home_tune_id", "characteristics",
}  # fmt: skip
MISSING = {"status": 404, "error": "Not Found"}


def created(api, tune_id, **attributes):
    return api.call("POST", f"/tunes/{tune_id}/prompts", json={"prompt": attributes})


# -- the object ------------------------------------------------------------------------------------
def test_prompt_has_the_recorded_fields_and_no_others_before_and_after(api):
    given = {"scheduler": "euler", "inpaint_faces": True, "hires_fix": True, "controlnet": "pose"}
    prompt = api.prompt(api.tune()["id"], num_images=1, **given)
    api.finish()
    for shown in (prompt, api.get(f"/prompts/{prompt['id']}")):
        assert set(shown) >= FIELDS
        assert not NEVER & set(shown)


def test_prompt_is_empty_before_it_is_made(slow):
    tune = slow.tune()
    prompt = slow.prompt(tune["id"], "ohwx woman")
    assert {key: prompt[key] for key in FIELDS - {"id"}} == {
        "callback": None,
        "trained_at": None,
        "started_training_at": None,
        "created_at": "2026-01-01T00:00:01.000Z",
        "updated_at": "2026-01-01T00:00:01.000Z",
        "tune_id": tune["id"],
        "prompt_likes_count": 0,
        "base_pack_id": None,
        "input_image": None,
        "mask_image": None,
        "text": "ohwx woman",
        "negative_prompt": "",
        "cfg_scale": None,
        "steps": None,
        "super_resolution": False,
        "ar": "1:1",
        "num_images": 4,
        "seed": None,
        "controlnet_conditioning_scale": None,
        "controlnet_txt2img": False,
        "denoising_strength": None,
        "style": None,
        "w": None,
        "h": None,
        "url": f"http://localhost/tunes/{tune['id']}/prompts/{prompt['id']}.json",
        "images": [],
        "liked": False,
        "tune": {"id": tune["id"], "title": "Jane"},
        "tunes": [],
        "aspect_ratio": None,
        "resolution": None,
        "pack_id": None,
        "order_id": None,
        "workspace_id": None,
        "cost_mc": 0,
        "user_error": None,
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"negative_prompt": "hats"}, {}),
        ({"cfg_scale": 3}, {"cfg_scale": "3.0"}),
        ({"cfg_scale": 7.25}, {"cfg_scale": "7.25"}),
        ({"cfg_scale": 0}, {"cfg_scale": "0.0"}),
        ({"steps": 30, "seed": 0, "super_resolution": True}, {}),
        ({"seed": 4294967296}, {}),
        ({"w": 512, "h": 768, "style": "Cinematic"}, {}),
        ({"aspect_ratio": "3:4", "resolution": "2K"}, {"ar": "1:1"}),
        ({"ar": "portrait"}, {"aspect_ratio": None}),
        ({"denoising_strength": 0.5, "controlnet_conditioning_scale": 1}, {}),
        ({"controlnet": "pose", "controlnet_txt2img": True}, {"controlnet": None}),
        ({"callback": "http://127.0.0.1:9/?x={PROMPT_ID}&y=%2F"}, {}),
        ({"num_images": 1}, {}),
        ({"num_images": 8}, {}),
    ],
)
def test_prompt_echoes_what_it_was_given(api, given, shown):
    prompt = api.prompt(api.tune()["id"], **given)
    expected = {**given, **shown}
    assert {key: prompt.get(key) for key in expected} == expected
    assert api.get(f"/prompts/{prompt['id']}")["text"] == prompt["text"]


def test_seed_stays_null_when_it_was_not_given(api):
    prompt = api.prompt(api.tune()["id"], num_images=1)
    api.finish()
    assert api.get(f"/prompts/{prompt['id']}")["seed"] is None


@pytest.mark.parametrize("count", [1, 2, 8])
def test_finished_prompt_has_as_many_pictures_as_asked_for(api, count):
    prompt = api.prompt(api.tune()["id"], num_images=count)
    api.finish()
    images = api.get(f"/prompts/{prompt['id']}")["images"]
    assert len(set(images)) == count
    assert all(isinstance(url, str) for url in images)


def test_prompt_url_leads_to_the_prompt(api):
    prompt = api.prompt(api.tune()["id"])
    assert api.get(prompt["url"])["id"] == prompt["id"]


def test_prompt_can_be_posted_without_the_tune_in_the_path(api):
    tune = api.tune()
    prompt = api.post("/prompts", {"prompt": {"text": "a", "tune_id": tune["id"]}})
    assert prompt["tune_id"] == tune["id"]
    assert api.get(f"/tunes/{tune['id']}/prompts/{prompt['id']}")["id"] == prompt["id"]


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({"tune_id": 1}, {"tune": ["must exist"]}),
        ({}, {"tune_id": ["can't be blank"]}),
        ({"tune_id": "x"}, {"tune_id": ["must be an integer"]}),
    ],
)
def test_prompt_without_a_known_tune_is_refused(api, given, messages):
    answer = api.call("POST", "/prompts", json={"prompt": {"text": "a", **given}})
    assert (answer.status_code, answer.json) == (422, messages)


@pytest.mark.parametrize("expand", ["debug_images", "comments"])
def test_expand_adds_fields_to_one_prompt_and_to_a_list(api, expand):
    prompt = api.prompt(api.tune()["id"])
    one = api.get(f"/prompts/{prompt['id']}?expand[]={expand}")
    [listed] = api.get(f"/prompts?expand[]={expand}")
    assert one[expand] == listed[expand] == []
    assert expand not in api.get(f"/prompts/{prompt['id']}")


# -- characteristics -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("woman, {{eye_color}}", "woman, blue eyes"),
        ("{{ eye_color }} and {{eye_color}}", "blue eyes and blue eyes"),
        ("{{height}} cm", "170 cm"),
        ("a {{unknown}}b", "a b"),
        ("{eye_color}", "{eye_color}"),
    ],
)
def test_characteristics_fill_a_prompts_text(api, text, filled):
    characteristics = {"eye_color": "blue eyes", "height": 170}
    tune = api.tune(characteristics=characteristics, prompts_attributes=[{"text": text}])
    assert api.get(f"/tunes/{tune['id']}/prompts")[0]["text"] == filled
    assert api.prompt(tune["id"], text)["text"] == filled


# -- re-homing -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "base", "token"),
    [
        ({"branch": "flux1"}, 1504944, "lora"),
        ({"branch": "sd15", "model_type": "lora"}, 690204, "lora"),
        ({"branch": "sdxl1"}, 666678, "lora"),
        ({"branch": "sd15", "model_type": "faceid"}, 690204, "faceid"),
        ({"branch": None, "base_tune_id": 3618064, "model_type": "faceid"}, 3618064, "faceid"),
        ({"branch": "fast", "model_type": "lora"}, 690204, "lora"),
    ],
)
def test_prompt_under_an_adapter_moves_to_its_base(api, kind, base, token):
    tune = api.tune(title="Adapter", **kind)
    prompt = api.prompt(tune["id"], "a portrait")
    assert prompt["text"] == f"<{token}:{tune['id']}:1> a portrait"
    assert prompt["tune_id"] == prompt["tune"]["id"] == base
    assert prompt["tune"]["title"] == api.get(f"/tunes/{base}")["title"]
    assert prompt["tunes"] == [{"id": tune["id"], "title": "Adapter"}]
    assert prompt["url"] == f"http://localhost/tunes/{base}/prompts/{prompt['id']}.json"


@pytest.mark.parametrize(
    "text", ["<lora:{id}:0.7> a portrait", "a portrait <lora:{id}:1>", "a <lora:{id}> portrait"]
)
def test_text_that_names_its_lora_is_left_as_it_is(api, lora, text):
    text = text.format(id=lora["id"])
    prompt = api.prompt(lora["id"], text)
    assert (prompt["text"], prompt["tune_id"]) == (text, 1504944)
    assert [tune["id"] for tune in prompt["tunes"]] == [lora["id"]]


def test_prompt_under_a_checkpoint_stays_there(api):
    tune = api.tune(branch="sd15")
    prompt = api.prompt(tune["id"], "sks woman")
    assert (prompt["tune_id"], prompt["text"], prompt["tunes"]) == (tune["id"], "sks woman", [])


def test_adapter_on_an_own_checkpoint_has_that_as_its_base(api):
    checkpoint = api.tune(branch="sd15", title="Own")
    face = api.tune(model_type="faceid", branch=None, base_tune_id=checkpoint["id"])
    prompt = api.prompt(face["id"], "a")
    assert prompt["tune"] == {"id": checkpoint["id"], "title": "Own"}


def test_adapter_on_an_adapter_has_the_model_beneath_as_its_base(api, lora):
    face = api.tune(model_type="faceid", branch=None, base_tune_id=lora["id"])
    assert api.prompt(face["id"], "a")["tune_id"] == 1504944


@pytest.mark.parametrize(("scale", "shown"), [(0.8, "0.8"), (1, "1"), (1.0, "1"), (0, "0")])
def test_lora_scale_of_a_nested_prompt_is_its_tokens_scale(api, scale, shown):
    tune = api.tune(branch="flux1", prompts_attributes=[{"text": "a", "lora_scale": scale}])
    [prompt] = api.get(f"/tunes/{tune['id']}/prompts")
    assert prompt["text"] == f"<lora:{tune['id']}:{shown}> a"


def test_nested_prompt_of_a_lora_moves_to_the_base(api):
    tune = api.tune(branch="flux1", prompts_attributes=[{"text": "a"}])
    [prompt] = api.get("/tunes/1504944/prompts")
    assert prompt["text"] == f"<lora:{tune['id']}:1> a"
    assert (prompt["tune_id"], prompt["tunes"][0]["id"]) == (1504944, tune["id"])


def test_prompt_on_a_base_shows_every_tune_that_it_names(api, lora, faceid):
    text = f"<faceid:{faceid['id']}:1> and <lora:{lora['id']}:0.5> and <lora:{lora['id']}:1>"
    prompt = api.prompt(1504944, text)
    assert prompt["tunes"] == [{"id": t["id"], "title": t["title"]} for t in (faceid, lora)]
    assert prompt["tune_id"] == 1504944
    for tune in (faceid, lora, {"id": 1504944}):
        assert [p["id"] for p in api.get(f"/tunes/{tune['id']}/prompts")] == [prompt["id"]]


@pytest.mark.parametrize("token", ["<lora:add_detail:0.5>", "<lora:99:1>", "<lora:>", "<b>"])
def test_token_that_names_no_tune_is_left_to_the_model(api, token):
    prompt = api.prompt(690204, f"a {token}")
    assert (prompt["text"], prompt["tunes"]) == (f"a {token}", [])


def test_token_that_names_another_accounts_tune_shows_nothing_of_it(api, other):
    theirs = other.tune(title="Secret", branch="flux1")
    prompt = api.prompt(1504944, f"<lora:{theirs['id']}:1> a")
    assert prompt["tunes"] == []
    assert other.get(f"/tunes/{theirs['id']}/prompts") == []
    api.finish()
    other.call("DELETE", f"/tunes/{theirs['id']}")
    assert api.get(f"/prompts/{prompt['id']}")["images"]


# -- lookups ---------------------------------------------------------------------------------------
def test_moved_prompt_is_found_under_the_base_under_the_lora_and_alone(api, lora):
    prompt = api.prompt(lora["id"], "a")
    paths = [
        f"/tunes/{lora['id']}/prompts/{prompt['id']}",
        f"/tunes/1504944/prompts/{prompt['id']}",
        f"/prompts/{prompt['id']}",
    ]
    answers = [api.get(path) for path in paths]
    assert answers[0]["id"] == prompt["id"]
    assert answers[1:] == answers[:-1]
    for path in ("/tunes/1504944/prompts", f"/tunes/{lora['id']}/prompts", "/prompts"):
        assert [found["id"] for found in api.get(path)] == [prompt["id"]]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_prompt_is_not_found_under_a_tune_that_it_does_not_use(api, method):
    prompt, stranger = api.prompt(api.tune()["id"]), api.tune()
    for wrong in (stranger["id"], 690204, 99):
        path = f"/tunes/{wrong}/prompts/{prompt['id']}"
        answer = api.call(method, path, json={"prompt": {"base_pack_id": 260}})
        assert (answer.status_code, answer.json) == (404, MISSING)
    assert api.get(f"/prompts/{prompt['id']}")["base_pack_id"] is None


def test_prompts_of_an_unknown_tune_are_not_found(api):
    for method in ("GET", "POST"):
        answer = api.call(method, "/tunes/99/prompts", json={"prompt": {"text": "a"}})
        assert (answer.status_code, answer.json) == (404, MISSING)


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("text=SEA", ["the sea", "sea view"]),
        ("text=moon", []),
        ("tune_id=690204", ["sea view"]),
        ("tune_id=666678", []),
        ("liked=true", ["the sea"]),
        ("is_video=true", ["clip"]),
        ("today=true", ["the sea"]),
        ("base_pack_id=260", ["sea view"]),
        ("pack_id=260", []),
        ("order_id=1", []),
        ("user_id=987", []),
        ("liked=true&text=view", []),
        ("is_api=true", ["the sea", "clip", "sea view"]),
    ],
)
def test_list_of_prompts_is_filtered(api, query, texts):
    api.prompt(690204, "sea view", base_pack_id=260)
    video = {"video_model": "seedance2_fast_720p", "video_prompt": "waves"}
    api.prompt(3618064, "clip", **video)
    api.client.post("/_emulator/clock", json={"days": 1})
    liked = api.prompt(1504944, "the sea")
    api.call("POST", f"/prompts/{liked['id']}/likes")
    assert [prompt["text"] for prompt in api.get(f"/prompts?{query}")] == texts


def test_list_of_prompts_is_filtered_by_user_and_original(api):
    prompt = api.prompt(690204)
    copy = api.post(f"/prompts/{prompt['id']}/duplicate")
    user = api.get("/users")["id"]
    assert len(api.get(f"/prompts?user_id={user}")) == 2
    [found] = api.get(f"/prompts?orig_prompt_id={prompt['id']}")
    assert found["id"] == copy["id"]


def test_list_is_a_bare_array_newest_first_with_the_objects_as_they_are(api):
    ids = [api.prompt(690204)["id"] for _ in range(3)]
    assert [prompt["id"] for prompt in api.get("/prompts")] == ids[::-1]
    assert api.get("/prompts")[0] == api.get(f"/prompts/{ids[-1]}")


# -- refusals --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({}, {"text": ["can't be blank"]}),
        ({"text": " "}, {"text": ["can't be blank"]}),
        ({"text": None}, {"text": ["can't be blank"]}),
        ({"text": "a", "num_images": 0}, {"num_images": ["must be greater than or equal to 1"]}),
        ({"text": "a", "num_images": 9}, {"num_images": ["must be less than or equal to 8"]}),
        ({"text": "a", "num_images": 1.5}, {"num_images": ["must be an integer"]}),
        ({"text": "a", "seed": -1}, {"seed": ["must be greater than or equal to 0"]}),
        (
            {"text": "a", "seed": 2**32 + 1},
            {"seed": ["must be less than or equal to 4294967296"]},
        ),
        ({"text": "a", "cfg_scale": "high"}, {"cfg_scale": ["is not a number"]}),
        ({"text": "a", "cfg_scale": 15.5}, {"cfg_scale": ["must be less than or equal to 15"]}),
        ({"text": "a", "steps": 51}, {"steps": ["must be less than or equal to 50"]}),
        ({"text": "a", "w": 513}, {"w": ["must be a multiple of 8"]}),
        ({"text": "a", "ar": "4:5"}, {"ar": ["is not included in the list"]}),
        ({"text": "a", "aspect_ratio": "1:9"}, {"aspect_ratio": ["is not included in the list"]}),
        ({"text": "a", "resolution": "8K"}, {"resolution": ["is not included in the list"]}),
        (
            {"text": "a", "color_grading": "Sepia"},
            {"color_grading": ["is not included in the list"]},
        ),
        ({"text": "a", "scheduler": "ddim"}, {"scheduler": ["is not included in the list"]}),
        ({"text": "a", "style": "Baroque"}, {"style": ["is not included in the list"]}),
        ({"text": "a", "controlnet": "x"}, {"controlnet": ["is not included in the list"]}),
        ({"text": "a", "callback": "nowhere"}, {"callback": ["is not a valid URL"]}),
        ({"text": "a", "super_resolution": "maybe"}, {"super_resolution": ["is not a boolean"]}),
        ({"text": "a", "input_image_url": "a.jpg"}, {"input_image_url": ["is not a valid URL"]}),
        (
            {"text": "a", "input_image_base64": "abc"},
            {"input_image_base64": ["is not a base64 data URL"]},
        ),
        (
            {"text": "a", "denoising_strength": 2},
            {"denoising_strength": ["must be less than or equal to 1"]},
        ),
        ({"text": "a", "workspace_id": 99}, {"workspace_id": ["must exist"]}),
        ({"text": "a", "base_pack_id": 99}, {"base_pack_id": ["must exist"]}),
        (
            {"num_images": 9, "w": 1, "style": "x"},
            {
                "text": ["can't be blank"],
                "num_images": ["must be less than or equal to 8"],
                "w": ["must be greater than or equal to 64"],
                "style": ["is not included in the list"],
            },
        ),
    ],
)
def test_prompt_is_refused_under_the_names_of_what_is_wrong(api, given, messages):
    answer = created(api, 1504944, **given)
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.get("/prompts") == []


@pytest.mark.parametrize(
    ("tune_id", "given", "messages"),
    [
        (1504944, {"negative_prompt": "b"}, {"negative_prompt": ["not supported on Flux"]}),
        (3691308, {"hires_fix": True}, {"hires_fix": ["not supported on Partner"]}),
        (690204, {"w": 776}, {"w": ["must be less than or equal to 768"]}),
        (
            690204,
            {"w": 776, "h": 1024},
            {f: ["must be less than or equal to 768"] for f in ("w", "h")},
        ),
    ],
)
def test_prompt_is_refused_for_what_its_model_cannot_do(api, tune_id, given, messages):
    answer = created(api, tune_id, text="a", **given)
    assert (answer.status_code, answer.json) == (422, messages)


@pytest.mark.parametrize(
    ("tune_id", "given"),
    [
        (690204, {"negative_prompt": "b"}),
        (1504944, {"negative_prompt": ""}),
        (690204, {"hires_fix": True}),
        (690204, {"w": 768, "h": 768}),
        (666678, {"w": 1024}),
    ],
)
def test_prompt_is_accepted_for_what_its_model_can_do(api, tune_id, given):
    assert created(api, tune_id, text="a", **given).status_code == 201


# -- changing and deleting -------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/prompts/{id}", "/tunes/690204/prompts/{id}"])
def test_patch_assigns_a_prompt_to_a_pack_and_a_workspace(api, path):
    prompt = api.prompt(690204)
    place = api.post("/workspaces", {"workspace": {"title": "Studio"}})["id"]
    change = {"base_pack_id": 260, "workspace_id": place}
    answer = api.call("PATCH", path.format(id=prompt["id"]), json={"prompt": change})
    assert answer.status_code == 200
    assert {key: answer.json[key] for key in change} == change
    assert answer.json["updated_at"] > prompt["updated_at"]
    assert api.get(f"/prompts/{prompt['id']}")["workspace_id"] == place


def test_patch_takes_a_prompt_out_of_its_places_again(api):
    prompt = api.prompt(690204, base_pack_id=260)
    change = {"prompt": {"base_pack_id": None}}
    api.call("PATCH", f"/prompts/{prompt['id']}", json=change)
    assert api.get(f"/prompts/{prompt['id']}")["base_pack_id"] is None


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"base_pack_id": 99}, {"base_pack_id": ["must exist"]}),
        ({"workspace_id": 99}, {"workspace_id": ["must exist"]}),
        ({"workspace_id": "x"}, {"workspace_id": ["must be an integer"]}),
    ],
)
def test_patch_refuses_places_that_do_not_exist(api, change, messages):
    prompt = api.prompt(690204)
    answer = api.call("PATCH", f"/prompts/{prompt['id']}", json={"prompt": change})
    assert (answer.status_code, answer.json) == (422, messages)


def test_patch_does_not_touch_other_attributes(api):
    prompt = api.prompt(690204, "before")
    change = {"prompt": {"text": "after", "images": ["x"], "liked": True, "seed": 5}}
    api.call("PATCH", f"/prompts/{prompt['id']}", json=change)
    shown = api.get(f"/prompts/{prompt['id']}")
    assert (shown["text"], shown["liked"], shown["seed"]) == ("before", False, None)


@pytest.mark.parametrize("path", ["/prompts/{id}", "/tunes/690204/prompts/{id}"])
def test_delete_answers_a_message_and_then_404(api, path):
    prompt = api.prompt(690204, num_images=1)
    api.finish()
    [picture] = api.get(f"/prompts/{prompt['id']}")["images"]
    path = path.format(id=prompt["id"])
    answer = api.call("DELETE", path)
    assert (answer.status_code, answer.json) == (200, {"message": "Prompt successfully deleted"})
    again = api.call("DELETE", path)
    assert (again.status_code, again.json) == (404, MISSING)
    assert api.call("GET", path).status_code == 404
    assert api.get("/prompts") == []
    assert api.client.get(picture).status_code == 404


def test_moved_prompt_can_be_deleted_under_its_lora(api, lora):
    prompt = api.prompt(lora["id"], "a")
    path = f"/tunes/{lora['id']}/prompts/{prompt['id']}"
    assert api.call("DELETE", path).status_code == 200
    assert api.get("/tunes/1504944/prompts") == []


def test_deleted_prompts_inputs_are_gone(api, photo):
    data = {"prompt[text]": "a", "prompt[input_image]": (BytesIO(photo()), "a.jpg")}
    prompt = api.post("/tunes/690204/prompts", data=data)
    assert api.client.get(prompt["input_image"]).status_code == 200
    api.call("DELETE", f"/prompts/{prompt['id']}")
    assert api.client.get(prompt["input_image"]).status_code == 404


def test_deleted_prompt_is_never_made(slow):
    prompt = slow.prompt(690204)
    slow.call("DELETE", f"/prompts/{prompt['id']}")
    assert slow.client.post("/_emulator/finish").json["jobs"] == 0
