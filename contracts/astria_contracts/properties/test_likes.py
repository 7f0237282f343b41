"""Likes: counted once, taken back, and counted for a copy's original as well."""

from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.world import World


def likes(api: Api, prompt: Any) -> tuple[bool, int]:
    shown = api.get(f"/prompts/{prompt['id']}")
    return shown["liked"], shown["prompt_likes_count"]


@pytest.fixture
def prompt(api: Api, world: World) -> Any:
    return api.prompt(world.tune["id"], num_images=1)


@pytest.mark.parametrize("path", ["likes", "like"])
def test_like_is_counted_and_taken_back(api: Api, prompt: Any, path: str) -> None:
    assert likes(api, prompt) == (False, 0)
    assert api.ok("POST", f"/prompts/{prompt['id']}/{path}") is None
    assert likes(api, prompt) == (True, 1)
    listed = api.get(f"/tunes/{prompt['tune_id']}/prompts", liked="true", limit=1)
    assert [item["id"] for item in listed] == [prompt["id"]]
    assert api.ok("DELETE", f"/prompts/{prompt['id']}/{path}") is None
    assert likes(api, prompt) == (False, 0)


def test_repeated_like_changes_nothing(api: Api, prompt: Any) -> None:
    path = f"/prompts/{prompt['id']}/likes"
    for _ in range(2):
        api.ok("POST", path)
    assert likes(api, prompt) == (True, 1)
    for _ in range(2):
        api.ok("DELETE", path)
    assert likes(api, prompt) == (False, 0)


def test_like_of_one_prompt_is_not_anothers(api: Api, world: World, prompt: Any) -> None:
    other = api.prompt(world.tune["id"], num_images=1)
    api.ok("POST", f"/prompts/{prompt['id']}/likes")
    assert (likes(api, prompt), likes(api, other)) == ((True, 1), (False, 0))


def test_copys_like_counts_for_the_original_too(api: Api, prompt: Any) -> None:
    copy = api.ok("POST", f"/prompts/{prompt['id']}/duplicate")
    api.ok("POST", f"/prompts/{copy['id']}/likes")
    assert (likes(api, copy), likes(api, prompt)[1]) == ((True, 1), 1)
    api.ok("DELETE", f"/prompts/{copy['id']}/likes")
    assert (likes(api, copy), likes(api, prompt)[1]) == ((False, 0), 0)


def test_originals_like_does_not_count_for_its_copies(api: Api, prompt: Any) -> None:
    copy = api.ok("POST", f"/prompts/{prompt['id']}/duplicate")
    api.ok("POST", f"/prompts/{prompt['id']}/likes")
    assert (likes(api, prompt), likes(api, copy)) == ((True, 1), (False, 0))


def test_like_changes_nothing_else(api: Api, world: World) -> None:
    prompt = api.final(f"/prompts/{api.prompt(world.tune['id'], num_images=1)['id']}")
    api.ok("POST", f"/prompts/{prompt['id']}/likes")
    shown = api.get(f"/prompts/{prompt['id']}")
    moved = {"liked": True, "prompt_likes_count": 1, "updated_at": shown["updated_at"]}
    assert shown == {**prompt, **moved}


def test_like_is_taken_back_where_it_was_counted(api: Api, world: World, prompt: Any) -> None:
    copy = api.ok("POST", f"/prompts/{prompt['id']}/duplicate")
    other = api.prompt(world.tune["id"], num_images=1)
    for liked in (copy, other):
        api.ok("POST", f"/prompts/{liked['id']}/likes")
    assert likes(api, prompt) == (False, 1)
    api.ok("PATCH", f"/prompts/{copy['id']}", {"prompt": {"orig_prompt_id": other["id"]}})
    api.ok("DELETE", f"/prompts/{copy['id']}/likes")
    assert (likes(api, prompt), likes(api, other)) == ((False, 0), (True, 1))
