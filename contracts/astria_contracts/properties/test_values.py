"""What was sent reads back unchanged, wherever an object is shown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astria_contracts.client.api import Api
from astria_contracts.client.world import World
from astria_contracts.options import CURRENT
from astria_contracts.spec.attributes import as_shown, of, sent_to
from astria_contracts.spec.document import read_document

DOCUMENT = read_document()
SETTINGS = CURRENT.get().settings(quick=12, full=100)
# What changes while work goes on.
MOVING = {"updated_at", "started_training_at", "trained_at", "expires_at", "eta"}
MOVING |= {"ckpt_url", "ckpt_urls"}
TUNE, PROMPT = DOCUMENT.operations["create_tune"], DOCUMENT.operations["create_tune_prompt"]


def views_of_tune(api: Api, tune: Any) -> list[Any]:
    """A tune as every operation shows it."""
    shown = [tune, api.get(f"/tunes/{tune['id']}"), *api.get("/tunes", limit=1)]
    return [*shown, *api.get("/tunes", before_id=tune["id"] + 1, limit=1)]


def views_of_prompt(api: Api, prompt: Any) -> list[Any]:
    """A prompt as every operation shows it."""
    id, tune = prompt["id"], prompt["tune_id"]
    shown = [prompt, api.get(f"/prompts/{id}"), api.get(f"/tunes/{tune}/prompts/{id}")]
    shown += api.get("/prompts", limit=1) + api.get(f"/tunes/{tune}/prompts", limit=1)
    return shown


@given(sent=sent_to(DOCUMENT, TUNE, always=["title", "name"]))
@SETTINGS
def test_tune_reads_back(api: Api, sent: dict[str, Any]) -> None:
    made = api.tune(**sent)
    expected = as_shown(DOCUMENT, TUNE, {**sent, "token": sent.get("token") or made["token"]})
    for shown in views_of_tune(api, made):
        assert (shown["id"], of(shown, expected)) == (made["id"], expected)


@pytest.mark.parametrize("by", ["create_tune_prompt", "create_prompt"])
@given(sent=sent_to(DOCUMENT, PROMPT, always=["text"]))
@SETTINGS
def test_prompt_reads_back(api: Api, world: World, by: str, sent: dict[str, Any]) -> None:
    if by == "create_prompt":
        body = {"prompt": {**sent, "tune_id": world.tune["id"]}}
        made = api.ok("POST", "/prompts", body)
    else:
        made = api.prompt(world.tune["id"], **sent)
    expected = as_shown(DOCUMENT, PROMPT, sent)
    for shown in views_of_prompt(api, made):
        assert (shown["id"], of(shown, expected)) == (made["id"], expected)


@given(each=st.lists(sent_to(DOCUMENT, PROMPT, always=["text"]), min_size=1, max_size=3))
@SETTINGS
def test_nested_prompts_read_back(api: Api, each: list[dict[str, Any]]) -> None:
    tune = api.tune(prompts_attributes=each)
    found = api.get(f"/tunes/{tune['id']}/prompts")[::-1]
    expected = [as_shown(DOCUMENT, PROMPT, sent) for sent in each]
    assert [of(shown, expected[0]) for shown in found] == expected


@given(sent=sent_to(DOCUMENT, PROMPT, always=["text"]))
@SETTINGS
def test_copy_reads_back_what_it_changes_and_what_it_does_not(
    api: Api, world: World, sent: dict[str, Any]
) -> None:
    original: dict[str, Any] = {
        "text": "ohwx woman",
        "num_images": 2,
        "seed": 3,
        "cfg_scale": 4.5,
        "w": 128,
    }
    first = api.prompt(world.tune["id"], **original)
    made = api.ok("POST", f"/prompts/{first['id']}/duplicate", {"prompt": sent})
    expected = as_shown(DOCUMENT, PROMPT, {**original, **sent})
    for shown in views_of_prompt(api, made):
        assert (shown["id"], of(shown, expected)) == (made["id"], expected)
    assert of(api.get(f"/prompts/{first['id']}"), expected) == as_shown(DOCUMENT, PROMPT, original)


@pytest.mark.needs("paid")
@pytest.mark.parametrize("kind", ["pack", "workspace"])
@given(data=st.data())
@SETTINGS
def test_pack_and_workspace_read_back(api: Api, kind: str, data: st.DataObject) -> None:
    operation = DOCUMENT.operations[f"create_{kind}"]
    sent = data.draw(sent_to(DOCUMENT, operation, always=["title"]))
    made = api.ok("POST", f"/{kind}s", {kind: sent})
    expected = as_shown(DOCUMENT, operation, sent)
    details = [] if kind == "pack" else [api.get(f"/workspaces/{made['id']}")]
    for shown in (made, api.get(f"/{kind}s")[0], *details):
        assert (shown["id"], of(shown, expected)) == (made["id"], expected)


def test_what_was_sent_is_still_there_at_the_end(api: Api, world: World) -> None:
    sent: dict[str, Any] = {
        "seed": 2**32,
        "cfg_scale": 7.25,
        "steps": 30,
        "style": "Line art",
        "num_images": 2,
    }
    sent |= {
        "text": " ohwx woman, \u201cq\u201d \U0001f600 漢 <b>&amp;</b> %41+",
        "negative_prompt": "x",
    }
    made = api.prompt(world.tune["id"], **sent)
    ended = api.final(f"/prompts/{made['id']}")
    for shown in (made, ended, *api.get(f"/tunes/{world.tune['id']}/prompts", limit=1)):
        assert of(shown, sent) == sent
    changing = ("trained_at", "started_training_at", "updated_at", "images")
    assert {**ended, **of(made, changing)} == made
    for view in views_of_prompt(api, ended):
        assert view == ended


def test_long_texts_read_back(api: Api) -> None:
    long = " ohwx woman, " * 100 + "at last "
    made = api.tune(title=long, prompts_attributes=[{"text": long, "negative_prompt": long}])
    [nested] = api.page(f"/tunes/{made['id']}/prompts")
    assert api.get(f"/tunes/{made['id']}")["title"] == long
    assert nested["text"] == nested["negative_prompt"] == nested["tune"]["title"] == long


def test_video_reads_back(api: Api, world: World) -> None:
    sent: dict[str, Any] = {
        "video_model": "seedance_480p",
        "video_prompt": "she turns",
        "video_duration": 5,
    }
    made = api.prompt(world.tune["id"], **sent)
    for shown in views_of_prompt(api, made):
        assert of(shown, sent) == sent


def test_objects_that_a_prompt_belongs_to_read_back(api: Api, world: World) -> None:
    places: dict[str, Any] = {"base_pack_id": world.pack["id"]}
    places["workspace_id"] = world.workspace["id"]
    made = api.prompt(world.tune["id"], **places)
    assert of(api.get(f"/prompts/{made['id']}"), places) == places


def test_tune_is_shown_alike_everywhere(api: Api) -> None:
    made = api.final(f"/tunes/{api.tune()['id']}")
    for shown in views_of_tune(api, made):
        assert shown == made


# -- changes ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", ["title", "name"])
@given(text=st.text("ab é漢&=+%", min_size=1).filter(str.strip))
@SETTINGS
def test_change_of_a_tune_changes_that_alone(api: Api, field: str, text: str) -> None:
    made = api.tune(prompts_attributes=[{"text": "ohwx woman"}])
    changed = api.ok("PATCH", f"/tunes/{made['id']}", {"tune": {field: text}})
    assert changed[field] == text
    stable = [name for name in made if name not in {field, *MOVING}]
    for shown in views_of_tune(api, changed):
        assert of(shown, [*stable, field]) == {**of(made, stable), field: text}
    [prompt] = api.page(f"/tunes/{made['id']}/prompts")
    assert prompt["tune"] == {"id": made["id"], "title": changed["title"]}


@pytest.mark.parametrize("way", ["/prompts/{id}", "/tunes/{tune_id}/prompts/{id}"])
def test_change_of_a_prompt_changes_that_alone(api: Api, world: World, way: str) -> None:
    made = api.final(f"/prompts/{api.prompt(world.tune['id'])['id']}")
    path = way.format(**made)
    places = {"base_pack_id": world.pack["id"], "workspace_id": world.workspace["id"]}
    places["orig_prompt_id"] = world.prompt["id"]
    for name, value in places.items():
        made = {**made, name: value}
        changed = api.ok("PATCH", path, {"prompt": {name: value}})
        made["updated_at"] = changed["updated_at"]
        assert changed == api.get(path) == made
    for name in places:
        made = {**made, name: None}
        changed = api.ok("PATCH", path, {"prompt": {name: None}})
        made["updated_at"] = changed["updated_at"]
        assert changed == api.get(path) == made


@pytest.mark.needs("paid")
def test_change_of_a_workspace_changes_that_alone(api: Api) -> None:
    made = api.ok("POST", "/workspaces", {"workspace": {"title": "Studio", "brief": "calm"}})
    changed = api.ok("PATCH", f"/workspaces/{made['id']}", {"workspace": {"title": "Atelier"}})
    assert changed["title"] == "Atelier"
    stable = [name for name in made if name not in ("title", "updated_at", "slug")]
    assert of(changed, stable) == of(made, stable)
    assert api.get(f"/workspaces/{made['id']}") == changed


def test_characteristics_fill_the_texts_of_prompts(api: Api) -> None:
    tune = api.tune(characteristics={"eye_color": "green eyes", "age": 40})
    made = api.prompt(tune["id"], text="ohwx woman, {{eye_color}}, {{ age }}, {{nothing}}.")
    assert made["text"] == "ohwx woman, green eyes, 40, ."
    api.ok("PATCH", f"/tunes/{tune['id']}", {"tune": {"characteristics": {"eye_color": "blue"}}})
    api.ok("PATCH", f"/tunes/{tune['id']}", {"tune": {"title": "Renamed"}})
    later = api.prompt(tune["id"], text="ohwx woman, {{eye_color}}")
    assert later["text"] == "ohwx woman, blue"
