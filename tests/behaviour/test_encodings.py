"""Encodings: JSON, urlencoded and multipart say the same; what clients send in the wild works."""

from io import BytesIO

import pytest

from tests.behaviour.encoding_pairs import BASE, FORM, MULTIPART, URLS, fields, sent

TUNE = {
    "title": "Jane & Zoë",
    "name": "woman",
    "branch": "fast",
    "callback": "http://127.0.0.1:9/?a={X}&b=1",
    "steps": 300,
    "face_crop": True,
    "image_urls": URLS,
    "characteristics": {"eye_color": "blue", "height": "170"},
    "prompts_attributes": [
        {"text": "one {{eye_color}}", "num_images": 2, "super_resolution": True},
        {"text": "two", "seed": 7, "cfg_scale": 3.5},
    ],
}
PROMPT = {
    "text": "a portrait, {{x}}",
    "num_images": 2,
    "seed": 42,
    "cfg_scale": 7.5,
    "super_resolution": False,
    "aspect_ratio": "3:4",
    "w": 512,
    "input_image_url": "https://example.com/in.jpg",
}


# -- twins -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_form_makes_the_same_tune_as_json(make_api, kind):
    by_json, by_form = make_api(), make_api()
    expected = by_json.post("/tunes", {"tune": TUNE})
    answer = sent(by_form, "/tunes", kind, fields(TUNE, "tune"))
    assert (answer.status_code, answer.json) == (201, expected)
    prompts = [api.get(f"/tunes/{expected['id']}/prompts") for api in (by_json, by_form)]
    assert prompts[0] == prompts[1]
    assert len(prompts[0]) == 2


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_form_makes_the_same_prompt_as_json(make_api, kind):
    by_json, by_form = make_api(), make_api()
    expected = by_json.post("/tunes/690204/prompts", {"prompt": PROMPT})
    answer = sent(by_form, "/tunes/690204/prompts", kind, fields(PROMPT, "prompt"))
    assert (answer.status_code, answer.json) == (201, expected)


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
@pytest.mark.parametrize(
    ("path", "wrapper", "body"),
    [
        ("/packs", "pack", {"title": "A", "base_tune_id": 1504944, "model_type": "lora"}),
        ("/workspaces", "workspace", {"title": "A", "brief": "calm"}),
        ("/p/260/tunes", "tune", {"title": "A", "name": "man", "image_urls": URLS}),
        ("/tunes/690204/prompts", "prompt", {"text": "a", "image_references": []}),
    ],
)
def test_form_makes_the_same_object_as_json_everywhere(make_api, kind, path, wrapper, body):
    expected = make_api().post(path, {wrapper: body})
    answer = sent(make_api(), path, kind, fields(body, wrapper))
    assert (answer.status_code, answer.json) == (201, expected)


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_form_of_a_theme_makes_the_same_prompts_as_json(make_api, kind):
    theme = {"theme": "Ski", "tune_ids": [690204], "prompt_attributes": {"num_images": 2}}
    by_json, by_form = make_api(), make_api()
    assert by_json.call("POST", "/themes", json={"theme": theme}).status_code == 201
    assert sent(by_form, "/themes", kind, fields(theme, "theme")).status_code == 201
    assert by_form.get("/prompts") == by_json.get("/prompts")
    assert len(by_form.get("/prompts")) == 10


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_form_is_refused_with_the_same_messages_as_json(api, kind):
    tune = {"name": "", "branch": "sd3", "steps": 0, "image_urls": ["x"]}
    expected = api.call("POST", "/tunes", json={"tune": tune})
    answer = sent(api, "/tunes", kind, fields(tune, "tune"))
    assert (answer.status_code, answer.json) == (expected.status_code, expected.json)
    assert answer.status_code == 422


# -- brackets --------------------------------------------------------------------------------------
IMAGES = [("tune[image_urls][]", URLS[0])]


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
@pytest.mark.parametrize("names", [("[]", "[]"), ("[0]", "[1]"), ("[1]", "[0]")])
def test_list_is_read_by_empty_brackets_and_by_numbers(api, kind, names):
    pairs = [(f"tune[image_urls]{name}", url) for name, url in zip(names, URLS, strict=True)]
    tune = sent(api, "/tunes", kind, BASE + pairs).json
    expected = api.tune(image_urls=URLS[::-1] if names[0] == "[1]" else URLS)
    cards = [[api.client.get(url).data for url in t["orig_images"]] for t in (tune, expected)]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("names", [("[]", "[]"), ("[0]", "[1]")])
def test_files_are_kept_in_order_by_empty_brackets_and_by_numbers(api, photo, names):
    data = {"tune[title]": "t", "tune[name]": "man"}
    for name, colour in zip(names, ("red", "blue"), strict=True):
        data.setdefault(f"tune[images]{name}", []).append((BytesIO(photo(colour)), "1.jpg"))
    tune = api.post("/tunes", data=data)
    files = [api.client.get(url).data for url in tune["orig_images"]]
    assert files == [photo("red"), photo("blue")]


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
@pytest.mark.parametrize("names", [("[]", "[]"), ("[0]", "[1]")])
def test_nested_prompts_are_told_apart(api, kind, names):
    pairs = [
        (f"tune[prompts_attributes]{name}[{key}]", value)
        for name, values in zip(names, (("a", "1"), ("b", "2")), strict=True)
        for key, value in zip(("text", "seed"), values, strict=True)
    ]
    tune = sent(api, "/tunes", kind, BASE + IMAGES + pairs).json
    found = [(prompt["text"], prompt["seed"]) for prompt in api.get(f"/tunes/{tune['id']}/prompts")]
    assert found == [("b", 2), ("a", 1)]


@pytest.mark.parametrize(
    "pairs",
    [
        [("tune[characteristics][eye_color]", "blue")],
        [("tune[characteristics]", '{"eye_color": "blue"}')],
    ],
)
@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_characteristics_are_fields_or_json_text(api, kind, pairs):
    tune = sent(api, "/tunes", kind, BASE + IMAGES + pairs).json
    assert api.prompt(tune["id"], "{{eye_color}}")["text"] == "blue"


def test_characteristics_sent_by_form_stay_text(api):
    pairs = [("tune[characteristics][glasses]", "false"), ("tune[characteristics][hat]", "")]
    tune = sent(api, "/tunes", MULTIPART, BASE + IMAGES + pairs).json
    assert api.prompt(tune["id"], "[{{glasses}}][{{hat}}]")["text"] == "[false][]"


def test_field_used_as_two_things_is_a_bad_request(api):
    answer = sent(api, "/tunes", FORM, [("tune[a]", "1"), ("tune[a][b]", "2")])
    assert answer.status_code == 400
    assert answer.json["status"] == 400


# -- wrappers --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "wrapper", "body"),
    [
        ("/tunes", "tune", {"title": "t", "name": "man", "branch": "fast", "image_urls": URLS}),
        ("/tunes/690204/prompts", "prompt", {"text": "a", "seed": 3}),
        ("/prompts", "prompt", {"text": "a", "tune_id": 690204}),
        ("/packs", "pack", {"title": "A"}),
        ("/p/260/tunes", "tune", {"title": "t", "name": "man", "image_urls": URLS}),
    ],
)
def test_unwrapped_json_makes_the_same_object(make_api, path, wrapper, body):
    wrapped, bare = make_api(), make_api()
    assert bare.post(path, body) == wrapped.post(path, {wrapper: body})


def test_unwrapped_json_without_a_name_is_told_so(api):
    answer = api.call("POST", "/tunes", json={"title": "t", "image_urls": URLS})
    assert (answer.status_code, answer.json) == (422, {"name": ["can't be blank"]})


def test_keys_outside_a_wrapper_are_ignored(api):
    body = {"tune": {"title": "in", "name": "man"}, "title": "out", "image_urls": URLS}
    answer = api.call("POST", "/tunes", json=body)
    assert (answer.status_code, answer.json) == (
        422,
        {"images": ["must contain at least one image"]},
    )
    prompt = api.post("/tunes/690204/prompts", {"prompt": {"text": "in"}, "text": "out", "seed": 1})
    assert (prompt["text"], prompt["seed"]) == ("in", None)


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_unwrapped_form_is_read_too(api, kind):
    assert sent(api, "/tunes/690204/prompts", kind, [("text", "a")]).json["text"] == "a"
