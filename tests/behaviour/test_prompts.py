"""Prompts: defaults, echoes, re-homing, lookups, refusals, deletion."""

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
