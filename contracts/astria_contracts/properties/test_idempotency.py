"""Creation is repeat-safe where the account asks for that, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.listener import Listener
from astria_contracts.client.world import World
from astria_contracts.spec.document import URLENCODED

switched = pytest.mark.needs("idempotency switch")
TEXT: dict[str, Any] = {"text": "ohwx woman by the sea", "num_images": 1}
# Documented as making another prompt (docs/api/0-overview.md#idempotency, 2026-08-21).
COUNTS: dict[str, Any] = {
    "cfg_scale": 4.5,
    "steps": 20,
    "seed": 0,
    "callback": "http://127.0.0.1:9/other",
    "negative_prompt": "hat",
    "super_resolution": True,
    "face_correct": True,
    "ar": "portrait",
    "num_images": 2,
    "controlnet": "pose",
    "denoising_strength": 0.5,
    "use_lpw": True,
    "controlnet_conditioning_scale": 0.5,
    "w": 128,
    "h": 128,
    "hires_fix": True,
    "scheduler": "lcm",
    "controlnet_txt2img": True,
    "inpaint_faces": True,
    "text": "ohwx woman by the lake",
}
# Not among them, so that prompts which differ in these alone are the same.
DOES_NOT_COUNT: dict[str, Any] = {
    "aspect_ratio": "3:4",
    "style": "Line art",
    "color_grading": "Ektar",
    "film_grain": True,
    "face_swap": True,
    "backend_version": 1,
    "input_image_url": "https://example.com/1.jpg",
}


@contextmanager
def idempotent(api: Api) -> Iterator[None]:
    """Within it the account asks for repeat-safe creation."""
    switch(api, on=True)
    try:
        yield
    finally:
        switch(api, on=False)


def switch(api: Api, *, on: bool) -> None:
    asked = {"idempotency": on, "key": api.key}
    answer = api.target.control("PATCH", "settings", json=asked)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def on(api: Api) -> Iterator[None]:
    with idempotent(api):
        yield


def test_creation_is_not_repeat_safe_by_default(api: Api, world: World) -> None:
    title = api.unique("Twice")
    assert api.tune(title=title)["id"] != api.tune(title=title)["id"]
    made = [api.prompt(world.tune["id"], seed=5, **TEXT)["id"] for _ in range(2)]
    assert len(set(made)) == 2


@switched
@pytest.mark.usefixtures("on")
def test_tune_of_the_same_title_is_the_same(api: Api) -> None:
    nested = [TEXT]
    first = api.tune(prompts_attributes=nested)
    again = api.tune(title=first["title"], name="man", prompts_attributes=nested)
    by_form = api.tune(title=first["title"], media_type=URLENCODED)
    shown = api.get(f"/tunes/{first['id']}")
    assert again["id"] == by_form["id"] == first["id"]
    assert (shown["name"], shown["title"]) == (first["name"], first["title"])
    assert api.ids("/tunes", title=first["title"]) == [first["id"]]
    assert len(api.page(f"/tunes/{first['id']}/prompts")) == 1
    assert api.tune(title=f"{first['title']}.")["id"] != first["id"]


@switched
@pytest.mark.usefixtures("on")
def test_repeat_shows_the_object_as_it_is_by_now(api: Api) -> None:
    first = api.tune()
    api.final(f"/tunes/{first['id']}")
    assert api.tune(title=first["title"]) == api.get(f"/tunes/{first['id']}")


@switched
@pytest.mark.usefixtures("on")
def test_prompt_of_the_same_attributes_is_the_same(api: Api, world: World) -> None:
    sent = {**TEXT, "text": api.unique("ohwx woman"), "seed": 3, "cfg_scale": 2}
    first = api.prompt(world.tune["id"], **sent)
    again = api.prompt(world.tune["id"], **sent)
    by_form = api.prompt(world.tune["id"], media_type=URLENCODED, **sent)
    elsewhere = api.ok("POST", "/prompts", {"prompt": {**sent, "tune_id": world.tune["id"]}})
    assert first["id"] == again["id"] == by_form["id"] == elsewhere["id"]
    assert api.ids(f"/tunes/{world.tune['id']}/prompts", text=sent["text"]) == [first["id"]]
    on_another = api.prompt(api.tune()["id"], **sent)
    assert on_another["id"] != first["id"]


@switched
@pytest.mark.usefixtures("on")
@pytest.mark.parametrize("name", COUNTS)
def test_documented_attribute_makes_another_prompt(api: Api, world: World, name: str) -> None:
    sent = {**TEXT, "text": api.unique("ohwx woman")}
    first = api.prompt(world.tune["id"], **sent)
    value = api.unique("ohwx woman") if name == "text" else COUNTS[name]
    other = api.prompt(world.tune["id"], **{**sent, name: value})
    assert other["id"] != first["id"]
    again = api.prompt(world.tune["id"], **{**sent, name: value})
    assert again["id"] == other["id"]


@switched
@pytest.mark.usefixtures("on")
@pytest.mark.parametrize("name", DOES_NOT_COUNT)
def test_any_other_attribute_makes_no_other_prompt(api: Api, world: World, name: str) -> None:
    sent = {**TEXT, "text": api.unique("ohwx woman")}
    first = api.prompt(world.tune["id"], **sent)
    other = api.prompt(world.tune["id"], **sent, **{name: DOES_NOT_COUNT[name]})
    assert other["id"] == first["id"]
    if name in first and name != "input_image":
        assert other[name] == first[name]


@switched
@pytest.mark.needs("callbacks", "finish")
@pytest.mark.usefixtures("on")
def test_repeat_calls_nobody(api: Api, world: World, listener: Listener) -> None:
    at, later = (api.unique("callback").replace(" ", "-") for _ in range(2))
    sent: dict[str, Any] = {"callback": listener.url(at), "title": api.unique("Called")}
    prompt = {**TEXT, "callback": listener.url(later), "text": api.unique("ohwx woman")}
    for _ in range(2):
        api.tune(**sent)
        api.prompt(world.tune["id"], **prompt)
    api.finish()
    for _ in range(2):
        api.tune(**sent)
        api.prompt(world.tune["id"], **prompt)
    api.finish()
    assert (len(listener.wait(at)), len(listener.wait(later))) == (1, 1)


@switched
@pytest.mark.usefixtures("on")
def test_deleted_object_does_not_come_back(api: Api, world: World) -> None:
    first = api.tune()
    api.ok("DELETE", f"/tunes/{first['id']}")
    assert api.tune(title=first["title"])["id"] != first["id"]
    text = api.unique("ohwx woman")
    prompt = api.prompt(world.tune["id"], text=text)
    api.ok("DELETE", f"/prompts/{prompt['id']}")
    assert api.prompt(world.tune["id"], text=text)["id"] != prompt["id"]


@switched
@pytest.mark.usefixtures("on")
def test_tune_is_known_by_its_new_title(api: Api) -> None:
    first, title = api.tune(), api.unique("Renamed")
    api.ok("PATCH", f"/tunes/{first['id']}", {"tune": {"title": title}})
    assert api.tune(title=title)["id"] == first["id"]
    assert api.tune(title=first["title"])["id"] != first["id"]


@switched
@pytest.mark.usefixtures("on")
def test_copy_is_always_another_prompt(api: Api, world: World) -> None:
    first = api.prompt(world.tune["id"], text=api.unique("ohwx woman"))
    assert api.ok("POST", f"/prompts/{first['id']}/duplicate")["id"] != first["id"]


@switched
@pytest.mark.needs("paid")
@pytest.mark.usefixtures("on")
def test_repeated_run_of_a_pack_trains_once(api: Api, world: World) -> None:
    run = {"title": api.unique("Run"), "name": "woman", "image_urls": ["https://example.com/1.jpg"]}
    made = [api.ok("POST", f"/p/{world.pack['slug']}/tunes", {"tune": run}) for _ in range(2)]
    assert made[0]["id"] == made[1]["id"]
    wanted = len(world.pack["prompts_per_class"]["woman"])
    assert len(api.page(f"/tunes/{made[0]['id']}/prompts")) == wanted


@switched
@pytest.mark.needs("second key")
def test_accounts_do_not_meet(api: Api, other: Api) -> None:
    with idempotent(api), idempotent(other):
        first = api.tune()
        theirs = other.tune(title=first["title"])
        assert theirs["id"] != first["id"]
        assert api.ids("/tunes", title=first["title"]) == [first["id"]]


@switched
@pytest.mark.usefixtures("on")
def test_refused_repeat_is_refused_and_uses_nothing_up(api: Api) -> None:
    title = api.unique("Refused")
    api.refused(422, "POST", "/tunes", {"tune": api.tune_attributes(title=title, name=None)})
    made = api.tune(title=title)
    assert api.ids("/tunes", title=title) == [made["id"]]
    api.refused(422, "POST", "/tunes", {"tune": api.tune_attributes(title=title, name=None)})
