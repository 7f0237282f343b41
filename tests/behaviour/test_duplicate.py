"""Duplicates: copies of a prompt, with changes."""

from io import BytesIO

import pytest

KEPT = ("text", "tune_id", "tune", "tunes", "num_images", "seed", "cfg_scale", "aspect_ratio", "w")


def test_duplicate_is_a_new_prompt_with_the_same_attributes(api, lora):
    original = api.prompt(lora["id"], "a", num_images=2, seed=7, cfg_scale=3, aspect_ratio="3:4")
    api.finish()
    copy = api.post(f"/prompts/{original['id']}/duplicate")
    assert copy["id"] != original["id"]
    assert {key: copy[key] for key in KEPT} == {key: original[key] for key in KEPT}
    assert (copy["images"], copy["trained_at"], copy["prompt_likes_count"]) == ([], None, 0)
    assert copy["orig_prompt_id"] == original["id"]
    assert original["orig_prompt_id"] is None


def test_duplicate_is_made_like_any_prompt(api):
    original = api.prompt(690204, num_images=1)
    api.finish()
    copy = api.post(f"/prompts/{original['id']}/duplicate?view=board")
    api.finish()
    pictures = [api.get(f"/prompts/{p['id']}")["images"] for p in (original, copy)]
    assert pictures[0] != pictures[1]
    assert len(pictures[1]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 12345},
        {"text": "something else", "num_images": 1},
        {"aspect_ratio": "16:9", "super_resolution": True},
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_duplicate_takes_changes(api, changes, wrapped):
    original = api.prompt(690204, "before", num_images=3, seed=1)
    body = {"prompt": changes} if wrapped else changes
    copy = api.post(f"/prompts/{original['id']}/duplicate", body)
    expected = {"text": "before", "num_images": 3, "seed": 1} | changes
    assert {key: copy[key] for key in expected} == expected


def test_duplicate_refuses_a_wrong_change(api):
    original = api.prompt(690204)
    body = {"prompt": {"num_images": 9}}
    answer = api.call("POST", f"/prompts/{original['id']}/duplicate", json=body)
    assert (answer.status_code, answer.json) == (
        422,
        {"num_images": ["must be less than or equal to 8"]},
    )
    assert len(api.get("/prompts")) == 1


@pytest.mark.parametrize("index", [0, 1])
def test_duplicate_starts_from_one_of_the_originals_pictures(api, index):
    original = api.prompt(690204, num_images=2)
    api.finish()
    images = api.get(f"/prompts/{original['id']}")["images"]
    copy = api.post(f"/prompts/{original['id']}/duplicate", {"image_index": index})
    wanted, found = (api.client.get(url) for url in (images[index], copy["input_image"]))
    assert found.data == wanted.data
    assert found.content_type == "image/jpeg"


def test_image_index_is_read_from_a_form(api):
    original = api.prompt(690204, num_images=2)
    api.finish()
    data = {"image_index": "1", "prompt[seed]": "3"}
    copy = api.post(f"/prompts/{original['id']}/duplicate", data=data)
    assert copy["seed"] == 3
    assert copy["input_image"]


@pytest.mark.parametrize("index", [2, 7])
def test_image_index_out_of_range_is_refused(api, index):
    original = api.prompt(690204, num_images=2)
    api.finish()
    path = f"/prompts/{original['id']}/duplicate"
    answer = api.call("POST", path, json={"image_index": index})
    assert (answer.status_code, answer.json) == (
        422,
        {"image_index": ["is not included in the list"]},
    )


@pytest.mark.parametrize("index", [-1, 8, "x"])
def test_impossible_image_index_is_refused(api, index):
    original = api.prompt(690204)
    path = f"/prompts/{original['id']}/duplicate"
    answer = api.call("POST", path, json={"image_index": index})
    assert answer.status_code == 422
    assert list(answer.json) == ["image_index"]


def test_duplicate_keeps_the_input_image_after_the_original_is_gone(api, photo):
    raw = photo()
    data = {"prompt[text]": "a", "prompt[input_image]": (BytesIO(raw), "a.jpg")}
    original = api.post("/tunes/690204/prompts", data=data)
    copy = api.post(f"/prompts/{original['id']}/duplicate")
    assert copy["input_image"] != original["input_image"]
    api.call("DELETE", f"/prompts/{original['id']}")
    assert api.client.get(copy["input_image"]).data == raw


def test_duplicate_does_not_become_a_template_of_the_pack(api, lora):
    pack = api.post("/packs", {"pack": {"title": "Mine", "base_tune_id": 1504944}})
    template = api.prompt(1504944, f"<lora:{lora['id']}:1> a", pack_id=pack["id"])
    copy = api.post(f"/prompts/{template['id']}/duplicate")
    assert (template["pack_id"], copy["pack_id"]) == (pack["id"], None)
    assert len(api.get(f"/p/{pack['id']}")["template_prompts"]) == 1


def test_duplicate_of_an_unknown_prompt_is_not_found(api):
    assert api.call("POST", "/prompts/99/duplicate").status_code == 404
