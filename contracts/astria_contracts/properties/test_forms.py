"""JSON, multipart and urlencoded bodies mean the same, in every way that clients write them."""

from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from astria_contracts.client.api import Api
from astria_contracts.client.sample_requests import request_of
from astria_contracts.client.world import World
from astria_contracts.options import CURRENT
from astria_contracts.spec.attributes import comparable, of, sent_to
from astria_contracts.spec.document import JSON, MULTIPART, URLENCODED, read_document
from astria_contracts.spec.encoding import encode, picture

DOCUMENT = read_document()
SETTINGS = CURRENT.get().settings(quick=8, full=60)
FORMS = [URLENCODED, MULTIPART]
FEW: dict[str, Any] = {"num_images": 1}
tunes, prompts = (DOCUMENT.operations[name] for name in ("create_tune", "create_tune_prompt"))


def nested(api: Api, tune: Any) -> list[Any]:
    """A tune's prompts, oldest first."""
    return [comparable(prompt) for prompt in api.page(f"/tunes/{tune['id']}/prompts")][::-1]


def by_form(api: Api, path: str, *fields: tuple[str, str]) -> Any:
    """Create an object by a form with these fields, in this order."""
    return api.ok("POST", path, raw=urlencode(fields).encode(), media_type=URLENCODED)


def tune_fields(api: Api, *more: tuple[str, str], pictures: bool = True) -> list[tuple[str, str]]:
    """The fields of a valid tune, and more."""
    sample = api.tune_attributes()
    urls = [("tune[image_urls][]", url) for url in sample.pop("image_urls") if pictures]
    return [*((f"tune[{name}]", value) for name, value in sample.items()), *urls, *more]


# -- the same attributes ---------------------------------------------------------------------------
@pytest.mark.parametrize("form", FORMS)
@given(sent=sent_to(DOCUMENT, tunes, always=["title", "name"]), data=st.data())
@SETTINGS
def test_form_makes_the_tune_that_json_makes(
    api: Api, form: str, sent: dict[str, Any], data: st.DataObject
) -> None:
    one = sent_to(DOCUMENT, prompts, always=["text"])
    sent = {**sent, "prompts_attributes": data.draw(st.lists(one, max_size=2))}
    sent["characteristics"] = {"eye_color": data.draw(st.sampled_from(["blue", "é & +", "0"]))}
    first, second = (api.tune(media_type=kind, **sent) for kind in (JSON, form))
    assert comparable(second) == comparable(first)
    assert nested(api, second) == nested(api, first)
    assert second["title"] == first["title"]


@pytest.mark.parametrize("form", FORMS)
@given(sent=sent_to(DOCUMENT, prompts, always=["text"]))
@SETTINGS
def test_form_makes_the_prompt_that_json_makes(
    api: Api, world: World, form: str, sent: dict[str, Any]
) -> None:
    made = [api.prompt(world.tune["id"], media_type=kind, **sent) for kind in (JSON, form)]
    assert comparable(made[0]) == comparable(made[1])


OTHERS = ["create_prompt", "duplicate_prompt", "create_pack", "create_workspace", "inspect_image"]
CHANGES = ["update_tune", "update_prompt", "update_tune_prompt", "update_workspace"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", OTHERS + CHANGES)
def test_form_does_what_json_does(api: Api, world: World, name: str, form: str) -> None:
    operation = DOCUMENT.operations[name]
    both = [request_of(operation, world, kind) for kind in (JSON, form)]
    answers = [request.send(api) for request in both]
    assert [answer.ok for answer in answers] == [True, True]
    first, second = (comparable(answer.json()) for answer in answers)
    assert first == second


@pytest.mark.needs("paid")
@pytest.mark.parametrize("form", FORMS)
def test_form_runs_a_pack_as_json_does(api: Api, world: World, form: str) -> None:
    run: dict[str, Any] = {"name": "woman", "image_urls": [api.target.options.picture_url]}
    run |= {"characteristics": {"eye_color": "grey"}, "prompt_attributes": {"num_images": 1}}
    path, title = f"/p/{world.pack['slug']}/tunes", api.unique("Run")
    made = [
        api.ok("POST", path, {"tune": {"title": title, **run}}, media_type=kind)
        for kind in (JSON, form)
    ]
    assert nested(api, made[0]) == nested(api, made[1]) != []


@pytest.mark.needs("paid")
@pytest.mark.parametrize("form", FORMS)
def test_form_makes_a_theme_as_json_does(api: Api, form: str) -> None:
    made = [api.tune(), api.tune()]
    for tune, kind in zip(made, (JSON, form), strict=True):
        theme = {"theme": "The sea", "tune_ids": [tune["id"]], "prompt_attributes": {"w": 128}}
        api.ok("POST", "/themes", {"theme": theme}, media_type=kind)
    assert nested(api, made[0]) == nested(api, made[1]) != []


# -- names of fields -------------------------------------------------------------------------------
def test_list_is_written_with_empty_or_with_numbered_brackets(api: Api) -> None:
    urls = [api.target.options.picture_url] * 3
    empty = [("tune[image_urls][]", url) for url in urls]
    numbered = [(f"tune[image_urls][{number}]", url) for number, url in enumerate(urls)]
    for written in (empty, numbered):
        made = by_form(api, "/tunes", *tune_fields(api, *written, pictures=False))
        assert len(made["orig_images"]) == 3


def test_files_are_written_with_empty_or_with_numbered_brackets(api: Api) -> None:
    files = [picture(number) for number in (1, 2, 3)]
    for names in (["tune[images][]"] * 3, [f"tune[images][{number}]" for number in range(3)]):
        parts = [(n, (f.name, f.content, "image/png")) for n, f in zip(names, files, strict=True)]
        made = api.ok("POST", "/tunes", **multipart([*texts(api), *parts]))
        contents = [api.fetch(url).content for url in made["orig_images"]]
        assert contents == [file.content for file in files]


def texts(api: Api) -> list[Any]:
    """The parts of a valid tune, without its pictures."""
    sample = api.tune_attributes(images=None)
    return [(f"tune[{name}]", (None, value)) for name, value in sample.items()]


def multipart(parts: list[Any]) -> dict[str, Any]:
    """Arguments of a call that sends these parts in this order."""
    prepared = requests.Request("POST", "http://localhost", files=parts).prepare()
    return {"raw": prepared.body, "media_type": prepared.headers["Content-Type"]}


def test_files_and_addresses_may_stand_together(api: Api) -> None:
    sent = api.tune_attributes(images=[picture(1), picture(2)])
    sent["image_urls"] = [api.target.options.picture_url]
    made = api.ok("POST", "/tunes", {"tune": sent}, media_type=MULTIPART)
    assert len(made["orig_images"]) == 3
    contents = {api.fetch(url).content for url in made["orig_images"]}
    assert {picture(1).content, picture(2).content} < contents


def test_file_input_left_empty_is_passed_over(api: Api) -> None:
    file = picture(1)
    parts = [("tune[images][]", sent) for sent in ((file.name, file.content), ("", b""))]
    made = api.ok("POST", "/tunes", **multipart([*texts(api), *parts]))
    assert len(made["orig_images"]) == 1


def test_nested_object_begins_where_a_key_repeats(api: Api) -> None:
    name = "tune[prompts_attributes][]"
    fields = [("text", "first"), ("num_images", "1"), ("text", "second"), ("seed", "5")]
    fields += [("text", "third")]
    made = by_form(api, "/tunes", *tune_fields(api, *((f"{name}[{k}]", v) for k, v in fields)))
    found = [
        {key: prompt[key] for key in ("text", "num_images", "seed")}
        for prompt in api.page(f"/tunes/{made['id']}/prompts")[::-1]
    ]
    assert found == [
        {"text": "first", "num_images": 1, "seed": None},
        {"text": "second", "num_images": 4, "seed": 5},
        {"text": "third", "num_images": 4, "seed": None},
    ]


def test_nested_objects_may_be_numbered(api: Api) -> None:
    fields = [
        (f"tune[prompts_attributes][{number}][{key}]", value)
        for number, text in enumerate(("first", "second"))
        for key, value in (("text", text), ("num_images", "1"))
    ]
    made = by_form(api, "/tunes", *tune_fields(api, *fields))
    found = api.page(f"/tunes/{made['id']}/prompts")
    assert [prompt["text"] for prompt in found] == ["second", "first"]


@pytest.mark.parametrize("written", ["fields", "JSON text"])
def test_object_is_written_as_fields_or_as_json_text(api: Api, written: str) -> None:
    fields = [("tune[characteristics]", '{"eye_color": "grey"}')]
    if written == "fields":
        fields = [("tune[characteristics][eye_color]", "grey")]
    made = by_form(api, "/tunes", *tune_fields(api, *fields))
    prompt = api.prompt(made["id"], text="{{eye_color}} eyes", **FEW)
    assert prompt["text"] == "grey eyes"


# -- values ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [JSON, *FORMS])
def test_numbers_and_booleans_may_be_text(api: Api, world: World, kind: str) -> None:
    sent = {"num_images": "2", "seed": "42", "cfg_scale": "3.5", "super_resolution": "true"}
    sent |= {"w": "128", "controlnet_txt2img": "True", "denoising_strength": "0.25"}
    made = api.prompt(world.tune["id"], media_type=kind, **sent)
    read = {"num_images": 2, "seed": 42, "cfg_scale": 3.5, "super_resolution": True}
    read |= {"w": 128, "controlnet_txt2img": True, "denoising_strength": 0.25}
    assert of(made, read) == read
    off = api.prompt(world.tune["id"], media_type=kind, super_resolution="false", **FEW)
    assert off["super_resolution"] is False


@pytest.mark.parametrize("kind", [JSON, *FORMS])
def test_blank_text_counts_as_absent(api: Api, world: World, kind: str) -> None:
    blank = {"seed": "", "style": "", "aspect_ratio": " ", "num_images": "", "negative_prompt": ""}
    made = api.prompt(world.tune["id"], media_type=kind, **blank)
    assert of(made, blank) == {
        "seed": None,
        "style": None,
        "aspect_ratio": None,
        "num_images": 4,
        "negative_prompt": "",
    }
    api.refused(422, "POST", "/tunes", {"tune": api.tune_attributes(title=" ")}, media_type=kind)


@pytest.mark.parametrize("kind", [JSON, *FORMS])
def test_unknown_attributes_are_ignored(api: Api, world: World, kind: str) -> None:
    more = {"face_detection": "yes", "sampler": "k", "width": 3, "trained_at": "2020-01-01"}
    made = api.prompt(world.tune["id"], media_type=kind, **FEW, **more)
    assert made["trained_at"] is None
    assert {"face_detection", "sampler", "width"}.isdisjoint(made)
    body = {"tune": {**api.tune_attributes(), "id": 7, "width": 3}, "utm": "x"}
    assert api.ok("POST", "/tunes", body, media_type=kind)["id"] != 7


@pytest.mark.parametrize("kind", FORMS)
@given(text=st.text("aé漢\U0001f600&=+%[];\r\n\"'\\<> ", min_size=1).filter(str.strip))
@example(text="a b+c")  # few cases are generated, and not in all of them is a space
@SETTINGS
def test_text_of_any_kind_comes_through(api: Api, world: World, kind: str, text: str) -> None:
    made = api.prompt(world.tune["id"], media_type=kind, negative_prompt=text, **FEW)
    assert made["negative_prompt"] == text


# -- wrappers, content types and paths -------------------------------------------------------------
def test_attributes_may_stand_without_their_wrapper(api: Api, world: World) -> None:
    sent = {**api.tune_attributes(), "prompts_attributes": [{"text": "one"}]}
    tune = api.ok("POST", "/tunes", sent)
    assert [prompt["text"] for prompt in nested(api, tune)] == ["one"]
    path = f"/tunes/{world.tune['id']}/prompts"
    assert api.ok("POST", path, {"text": "two", **FEW})["text"] == "two"
    form = encode({"text": "three", **FEW}, URLENCODED)["data"]
    assert by_form(api, path, *form)["text"] == "three"
    lacking = api.refused(422, "POST", "/tunes", api.tune_attributes(name=None)).json()
    assert list(lacking) == ["name"]


def test_attributes_outside_their_wrapper_are_ignored(api: Api, world: World) -> None:
    body = {"prompt": {"text": "one"}, "text": "two", "seed": 5, "num_images": 8}
    made = api.ok("POST", f"/tunes/{world.tune['id']}/prompts", body)
    assert of(made, ("text", "seed", "num_images")) == {
        "text": "one",
        "seed": None,
        "num_images": 4,
    }


@pytest.mark.parametrize("end", [".json", "/", ".json/"])
def test_path_may_end_in_json_or_a_slash(api: Api, world: World, end: str) -> None:
    tune, prompt = world.tune["id"], world.prompt["id"]
    for path in (f"/tunes/{tune}", f"/prompts/{prompt}", "/users", f"/p/{world.pack['slug']}"):
        assert api.get(path + end) == api.get(path)
    made = api.ok("POST", "/tunes" + end, {"tune": api.tune_attributes()})
    assert made["id"] in api.ids("/tunes" + end, title=made["title"])


def test_content_type_without_a_body_does_not_matter(api: Api, world: World) -> None:
    headers = {"Content-Type": JSON}
    assert api.ok("GET", f"/tunes/{world.tune['id']}", headers=headers)
    made = api.prompt(world.tune["id"], **FEW)
    api.ok("DELETE", f"/prompts/{made['id']}", headers=headers)


def test_charset_beside_the_content_type_does_not_matter(api: Api, world: World) -> None:
    raw = b'{"prompt": {"text": "caf\xc3\xa9", "num_images": 1}}'
    path = f"/tunes/{world.tune['id']}/prompts"
    made = api.ok("POST", path, raw=raw, media_type="application/json; charset=utf-8")
    assert made["text"] == "café"
    form = urlencode([("prompt[text]", "café"), ("prompt[num_images]", "1")]).encode()
    made = api.ok("POST", path, raw=form, media_type=f"{URLENCODED}; charset=UTF-8")
    assert made["text"] == "café"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        pytest.param(b'{"tune": ', JSON, id="cut JSON"),
        pytest.param(b"[1, 2]", JSON, id="a list"),
        pytest.param(b"tune[title]=a", JSON, id="a form that says it is JSON"),
        pytest.param(b"tune[title]=a&tune[title][b]=c", URLENCODED, id="two kinds of thing"),
        pytest.param(b"tune[title]=%FF", URLENCODED, id="no UTF-8"),
        pytest.param(b"--b\r\nno part", f"{MULTIPART}; boundary=b", id="broken multipart"),
    ],
)
def test_body_that_cannot_be_read_is_refused(api: Api, raw: bytes, kind: str) -> None:
    before = api.newest()
    api.refused(400, "POST", "/tunes", raw=raw, media_type=kind)
    assert api.newest() == before
