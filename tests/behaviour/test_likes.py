"""Likes: once each, and a copy's like counts for its original."""

import pytest


def likes(api, id):
    prompt = api.get(f"/prompts/{id}")
    return prompt["liked"], prompt["prompt_likes_count"]


@pytest.mark.parametrize("word", ["like", "likes"])
def test_like_is_created_and_taken_back_without_a_body(api, word):
    prompt = api.prompt(690204)
    path = f"/prompts/{prompt['id']}/{word}"
    given = api.call("POST", path)
    assert (given.status_code, given.data) == (201, b"")
    assert likes(api, prompt["id"]) == (True, 1)
    taken = api.call("DELETE", path)
    assert (taken.status_code, taken.data) == (201, b"")
    assert likes(api, prompt["id"]) == (False, 0)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (["POST", "POST"], (True, 1)),
        (["DELETE"], (False, 0)),
        (["POST", "DELETE", "DELETE"], (False, 0)),
        (["POST", "DELETE", "POST"], (True, 1)),
    ],
)
def test_repeated_like_changes_nothing(api, calls, expected):
    prompt = api.prompt(690204)
    for method in calls:
        assert api.call(method, f"/prompts/{prompt['id']}/likes").status_code == 201
    assert likes(api, prompt["id"]) == expected


def test_copys_like_counts_for_the_original_too(api):
    original = api.prompt(690204)["id"]
    copies = [api.post(f"/prompts/{original}/duplicate")["id"] for _ in range(2)]
    for copy in copies:
        api.call("POST", f"/prompts/{copy}/likes")
    assert [likes(api, copy) for copy in copies] == [(True, 1)] * 2
    assert likes(api, original) == (False, 2)
    api.call("DELETE", f"/prompts/{copies[0]}/likes")
    assert likes(api, original) == (False, 1)


def test_originals_like_does_not_count_for_its_copies(api):
    original = api.prompt(690204)["id"]
    copy = api.post(f"/prompts/{original}/duplicate")["id"]
    api.call("POST", f"/prompts/{original}/likes")
    assert likes(api, copy) == (False, 0)


def test_like_of_a_pack_prompt_counts_for_the_own_template(api, lora):
    pack = api.post("/packs", {"pack": {"title": "Mine", "base_tune_id": 1504944}})
    text = f"<lora:{lora['id']}:1> ohwx woman"
    template = api.prompt(1504944, text, pack_id=pack["id"])["id"]
    api.post(f"/p/{pack['id']}/tunes", {"tune": {"tune_ids": [lora["id"]]}})
    [made] = api.get(f"/prompts?orig_prompt_id={template}")
    api.call("POST", f"/prompts/{made['id']}/likes")
    assert likes(api, template) == (False, 1)


def test_like_of_a_gallery_packs_prompt_is_counted(api, lora):
    api.post("/p/260/tunes", {"tune": {"tune_ids": [lora["id"]], "prompt_ids": [18771572]}})
    [made] = api.get("/prompts")
    assert api.call("POST", f"/prompts/{made['id']}/likes").status_code == 201
    assert likes(api, made["id"]) == (True, 1)


def test_copy_can_be_liked_when_its_original_is_gone(api):
    original = api.prompt(690204)["id"]
    copy = api.post(f"/prompts/{original}/duplicate")["id"]
    api.call("DELETE", f"/prompts/{original}")
    assert api.call("POST", f"/prompts/{copy}/likes").status_code == 201
    assert likes(api, copy) == (True, 1)


def test_like_accepts_a_form_with_nothing_in_it(api):
    prompt = api.prompt(690204)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.call("POST", f"/prompts/{prompt['id']}/like", headers=headers).status_code == 201
    assert likes(api, prompt["id"]) == (True, 1)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_like_of_an_unknown_prompt_is_not_found(api, method):
    assert api.call(method, "/prompts/99/likes").status_code == 404


def test_like_is_taken_back_from_the_original_that_it_was_counted_for(api):
    first, other = api.prompt(690204), api.prompt(690204)
    copy = api.post(f"/prompts/{first['id']}/duplicate")
    for liked in (copy, other):
        api.call("POST", f"/prompts/{liked['id']}/likes")
    body = {"prompt": {"orig_prompt_id": other["id"]}}
    api.call("PATCH", f"/prompts/{copy['id']}", json=body)
    api.call("DELETE", f"/prompts/{copy['id']}/likes")
    shown = [api.get(f"/prompts/{prompt['id']}") for prompt in (first, other)]
    assert [(p["liked"], p["prompt_likes_count"]) for p in shown] == [(False, 0), (True, 1)]
