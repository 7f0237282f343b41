"""Prompts are found, refused, changed and deleted."""

from io import BytesIO

import pytest

MISSING = {"status": 404, "error": "Not Found"}


def created(api, tune_id, **attributes):
    return api.call("POST", f"/tunes/{tune_id}/prompts", json={"prompt": attributes})


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
