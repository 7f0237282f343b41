"""Idempotency: off by default, on for all or for one key; a repeat gives what is there."""

import pytest

BASE = {"text": "a", "num_images": 2, "seed": 7}


def switch(api, **settings):
    answer = api.client.patch("/_emulator/settings", json=settings)
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.fixture
def repeat_safe(make_api):
    return make_api(idempotency=True)


def test_idempotency_is_off_by_default(api):
    assert api.tune()["id"] != api.tune()["id"]
    assert api.prompt(690204, **BASE)["id"] != api.prompt(690204, **BASE)["id"]


def test_tune_of_the_same_title_comes_back(repeat_safe):
    first = repeat_safe.tune(title="Same", name="man")
    again = repeat_safe.call(
        "POST",
        "/tunes",
        json={
            "tune": {"title": "Same", "name": "cat", "image_urls": ["https://example.com/2.jpg"]}
        },
    )
    assert again.status_code == 201
    assert (again.json["id"], again.json["name"]) == (first["id"], "man")
    assert repeat_safe.tune(title="Other")["id"] != first["id"]
    assert len(repeat_safe.get("/tunes")) == 2


def test_repeated_tune_brings_no_second_prompts_and_no_second_callback(repeat_safe, receiver):
    for _ in range(2):
        nested = [{"text": "a", "num_images": 1, "callback": f"{receiver.url}/prompt"}]
        repeat_safe.tune(callback=f"{receiver.url}/tune", prompts_attributes=nested)
        repeat_safe.finish()
    assert [path for path, _ in receiver.received] == ["/tune", "/prompt"]
    assert len(repeat_safe.get("/prompts")) == 1


def test_prompt_with_equal_attributes_comes_back(repeat_safe):
    first = repeat_safe.prompt(690204, **BASE)
    again = repeat_safe.call("POST", "/tunes/690204/prompts", json={"prompt": BASE})
    assert again.status_code == 201
    assert again.json["id"] == first["id"]
    assert len(repeat_safe.get("/prompts")) == 1


def test_repeated_prompt_calls_back_once(repeat_safe, receiver):
    for _ in range(2):
        repeat_safe.prompt(690204, **BASE, callback=f"{receiver.url}/prompt")
        repeat_safe.finish()
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"text": "b"},
        {"num_images": 3},
        {"seed": 8},
        {"steps": 20},
        {"cfg_scale": 5},
        {"callback": "http://127.0.0.1:9/x"},
        {"negative_prompt": "hat"},
        {"super_resolution": True},
        {"face_correct": True},
        {"ar": "16:9"},
        {"controlnet": "pose"},
        {"denoising_strength": 0.5},
        {"use_lpw": True},
        {"controlnet_conditioning_scale": 0.5},
        {"w": 512},
        {"h": 512},
        {"hires_fix": True},
        {"scheduler": "euler"},
        {"controlnet_txt2img": True},
        {"inpaint_faces": True},
    ],
)
def test_prompt_that_differs_in_a_named_attribute_is_another(repeat_safe, change):
    first = repeat_safe.prompt(690204, **BASE)
    assert repeat_safe.prompt(690204, **{**BASE, **change})["id"] != first["id"]


def test_prompt_on_another_tune_is_another(repeat_safe):
    assert repeat_safe.prompt(690204, **BASE)["id"] != repeat_safe.prompt(666678, **BASE)["id"]


# Equal (text, seed) collapse into one prompt even with different input images (section 9).
@pytest.mark.parametrize(
    "change",
    [
        {"input_image_url": "https://example.com/other.jpg"},
        {"aspect_ratio": "3:4"},
        {"style": "Cinematic"},
        {"film_grain": True},
    ],
)
def test_prompt_that_differs_in_another_attribute_is_the_same(repeat_safe, change):
    first = repeat_safe.prompt(690204, **BASE, input_image_url="https://example.com/1.jpg")
    given = {**BASE, "input_image_url": "https://example.com/1.jpg", **change}
    assert repeat_safe.prompt(690204, **given)["id"] == first["id"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"cfg_scale": 3}, {"cfg_scale": 3.0}),
        ({"cfg_scale": 3}, {"cfg_scale": "3.0"}),
        ({"steps": 30}, {"steps": "30"}),
        ({"hires_fix": True}, {"hires_fix": "true"}),
        ({"denoising_strength": 1}, {"denoising_strength": 1.0}),
        ({}, {"negative_prompt": ""}),
        ({}, {"steps": None}),
    ],
)
def test_value_is_the_same_however_it_is_written(repeat_safe, first, second):
    made = repeat_safe.prompt(690204, **BASE, **first)
    assert repeat_safe.prompt(690204, **BASE, **second)["id"] == made["id"]


@pytest.mark.parametrize("attribute", ["seed", "steps", "cfg_scale", "denoising_strength"])
def test_zero_is_not_the_same_as_nothing(repeat_safe, attribute):
    first = repeat_safe.prompt(690204, "a", **{attribute: 0})
    assert repeat_safe.prompt(690204, "a")["id"] != first["id"]


def test_form_repeats_what_json_made(repeat_safe):
    first = repeat_safe.prompt(690204, **BASE)
    data = {f"prompt[{key}]": str(value) for key, value in BASE.items()}
    assert repeat_safe.post("/tunes/690204/prompts", data=data)["id"] == first["id"]


def test_deleted_object_does_not_come_back(repeat_safe):
    tune, prompt = repeat_safe.tune(), repeat_safe.prompt(690204, **BASE)
    repeat_safe.call("DELETE", f"/tunes/{tune['id']}")
    repeat_safe.call("DELETE", f"/prompts/{prompt['id']}")
    assert repeat_safe.tune()["id"] != tune["id"]
    assert repeat_safe.prompt(690204, **BASE)["id"] != prompt["id"]


def test_renamed_tune_is_found_by_its_new_title(repeat_safe):
    tune = repeat_safe.tune(title="Old")
    repeat_safe.call("PATCH", f"/tunes/{tune['id']}", json={"tune": {"title": "New"}})
    assert repeat_safe.tune(title="New")["id"] == tune["id"]
    assert repeat_safe.tune(title="Old")["id"] != tune["id"]


def test_prompt_repeated_under_a_lora_comes_back(repeat_safe):
    tune = repeat_safe.tune(branch="flux1")
    first = repeat_safe.prompt(tune["id"], "a")
    assert repeat_safe.prompt(tune["id"], "a")["id"] == first["id"]
    assert repeat_safe.prompt(1504944, first["text"])["id"] == first["id"]


def test_repeat_is_validated_like_any_request(repeat_safe):
    repeat_safe.tune(title="Same")
    answer = repeat_safe.call("POST", "/tunes", json={"tune": {"title": "Same"}})
    assert answer.status_code == 422


def test_idempotency_is_switched_for_everybody(api, other):
    assert switch(api, idempotency=True) == {"idempotency": True}
    assert api.client.get("/_emulator/settings").json == {"idempotency": True}
    for account in (api, other):
        assert account.tune()["id"] == account.tune()["id"]
    switch(api, idempotency=False)
    assert api.tune(title="x")["id"] != api.tune(title="x")["id"]


def test_idempotency_is_switched_for_one_key(api, other):
    assert switch(api, idempotency=True, key="sd_test") == {"idempotency": True}
    assert api.tune()["id"] == api.tune()["id"]
    assert other.tune()["id"] != other.tune()["id"]
    assert api.client.get("/_emulator/settings").json == {"idempotency": False}


def test_keys_own_setting_wins_over_everybodys(repeat_safe):
    switch(repeat_safe, idempotency=False, key="sd_test")
    assert repeat_safe.tune()["id"] != repeat_safe.tune()["id"]


def test_pack_run_repeated_with_the_same_title_trains_once(repeat_safe):
    tune = {"title": "t", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}
    ids = {repeat_safe.post("/p/260/tunes", {"tune": tune})["id"] for _ in range(2)}
    assert len(ids) == 1
    assert len(repeat_safe.get("/prompts")) == 2
