"""The same seed gives the same picture, and the same history the same answers."""

import json
from typing import Any

import pytest
import requests

from astria_contracts.client.api import Api
from astria_contracts.client.discovery import emulator
from astria_contracts.client.target import ANSWER_SECONDS, Target
from astria_contracts.client.world import World
from astria_contracts.spec.encoding import picture

ASKED: dict[str, Any] = {"text": "ohwx woman in a garden", "num_images": 2, "w": 128, "h": 64}


def pictures(api: Api, tune_id: int, **attributes: Any) -> list[bytes]:
    """The pictures of a new prompt."""
    made = api.prompt(tune_id, **{**ASKED, **attributes})
    urls = api.final(f"/prompts/{made['id']}")["images"]
    assert len(urls) == made["num_images"]
    return [api.fetch(url).content for url in urls]


@pytest.mark.needs("mock")
def test_seed_decides_the_pictures(api: Api, world: World) -> None:
    first, again, other, text = (
        pictures(api, world.tune["id"], seed=5),
        pictures(api, world.tune["id"], seed=5),
        pictures(api, world.tune["id"], seed=6),
        pictures(api, world.tune["id"], seed=5, text="ohwx woman at sea"),
    )
    assert first == again
    assert set(first).isdisjoint(other)
    assert set(first).isdisjoint(text)


def test_prompts_without_a_seed_differ(api: Api, world: World) -> None:
    first, other = (pictures(api, world.tune["id"]) for _ in range(2))
    assert set(first).isdisjoint(other)


def test_picture_is_the_same_every_time(api: Api, world: World) -> None:
    urls = [*world.prompt["images"], *world.tune["orig_images"]]
    first, again = ([api.fetch(url).content for url in urls] for _ in range(2))
    assert first == again


@pytest.mark.needs("mock")
@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"w": 128, "h": 64}, (128, 64)),
        ({"w": 64, "h": 192}, (64, 192)),
        ({"w": 128, "h": 64, "super_resolution": True}, (512, 256)),
    ],
)
def test_picture_has_the_size_that_was_asked_for(
    api: Api, world: World, asked: dict[str, Any], size: tuple[int, int]
) -> None:
    [content] = pictures(api, world.tune["id"], num_images=1, **asked)
    assert jpeg_size(content) == size


@pytest.mark.parametrize(("ar", "wider"), [("16:9", True), ("2:3", False)])
def test_picture_has_the_shape_that_was_asked_for(
    api: Api, world: World, ar: str, wider: bool
) -> None:
    [content] = pictures(api, world.tune["id"], num_images=1, w=None, h=None, aspect_ratio=ar)
    width, height = jpeg_size(content)
    assert (width > height) is wider


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels, from a JPEG's frame header."""
    assert content.startswith(b"\xff\xd8"), "it is no JPEG"
    at = 2
    while content[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
    return int.from_bytes(width), int.from_bytes(height)


@pytest.mark.parametrize("seed", [0, 1])
def test_same_history_gives_the_same_answers(target: Target, seed: int) -> None:
    if target.options.target:
        pytest.skip("the target cannot be started anew from here")
    histories = []
    for _ in range(2):
        with emulator("--seed", str(seed)) as url:
            histories.append([text.replace(url, "") for text in history(url)])
    assert histories[0] == histories[1]


def history(url: str) -> list[str]:
    """The answers to a few requests, and their files."""
    answers: list[str] = []

    def ask(method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Authorization": "Bearer sd_history"}
        answer = requests.request(
            method, url + path, json=body, headers=headers, timeout=ANSWER_SECONDS, **more
        )
        answers.append(f"{answer.status_code} {answer.text}")
        return json.loads(answer.text or "null")

    image = ("1.png", picture().content, "image/png")
    form = {"tune[title]": "Jane", "tune[name]": "woman", "tune[branch]": "fast"}
    tune = ask("POST", "/tunes", data=form, files={"tune[images][]": image})
    prompt = {"prompt": {**ASKED, "num_images": 1}}
    made = ask("POST", f"/tunes/{tune['id']}/prompts", prompt)
    ask("POST", "/tunes", {"tune": {"title": "none"}})
    ask("POST", "/_emulator/finish")
    ended = ask("GET", f"/prompts/{made['id']}")
    shown = ask("GET", f"/tunes/{tune['id']}")
    for file in (*ended["images"], *shown["orig_images"], shown["ckpt_url"]):
        answers.append(requests.get(file, timeout=ANSWER_SECONDS).content.hex())
    return answers
