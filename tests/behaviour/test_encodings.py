"""Encodings: JSON, urlencoded and multipart say the same; what clients send in the wild works."""

import json
from io import BytesIO
from urllib.parse import urlencode

import pytest

FORM, MULTIPART, JSON = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
)
URLS = ["https://example.com/1.jpg", "https://example.com/2.jpg"]
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


def fields(value, name):
    """A value as form fields, the way that clients write them."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in fields(item, f"{name}[{key}]")]
    if isinstance(value, list):
        return [pair for item in value for pair in fields(item, f"{name}[]")]
    return [(name, str(value).lower() if isinstance(value, bool) else str(value))]


def multipart(pairs):
    """A multipart body with these fields in this order."""
    parts = [
        f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in pairs
    ]
    return "".join([*parts, "--frontier--\r\n"]).encode()


def sent(api, path, kind, pairs):
    """POST fields as a form of this content type."""
    if kind == MULTIPART:
        body, kind = multipart(pairs), f"{MULTIPART}; boundary=frontier"
    else:
        body = urlencode(pairs)
    return api.call("POST", path, data=body, content_type=kind)


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
BASE = [("tune[title]", "t"), ("tune[name]", "man"), ("tune[branch]", "fast")]
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


# -- values ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("kind", [JSON, FORM, MULTIPART])
def test_blank_strings_count_as_absent(api, kind, blank):
    extra = dict.fromkeys(
        ("branch", "callback", "token", "base_tune_id", "steps", "model_type"), blank
    )
    tune = {"title": "t", "name": "man", "image_urls": [URLS[0], blank], **extra}
    if kind == JSON:
        answer = api.call("POST", "/tunes", json={"tune": tune})
    else:
        answer = sent(api, "/tunes", kind, fields(tune, "tune"))
    assert answer.status_code == 201, answer.text
    assert (answer.json["branch"], answer.json["token"]) == ("sd15", "sks")
    assert [answer.json[name] for name in ("callback", "base_tune_id", "steps", "model_type")] == [
        None
    ] * 4
    assert len(answer.json["orig_images"]) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("True", True),
        ("1", True),
        ("false", False),
        ("False", False),
        ("0", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("kind", [JSON, FORM, MULTIPART])
def test_booleans_are_read_from_text(api, kind, text, value):
    prompt = {"text": "a", "super_resolution": text}
    if kind == JSON:
        made = api.post("/tunes/690204/prompts", {"prompt": prompt})
    else:
        made = sent(api, "/tunes/690204/prompts", kind, fields(prompt, "prompt")).json
    assert made["super_resolution"] is value


@pytest.mark.parametrize(
    ("attribute", "given", "shown"),
    [
        ("num_images", "2", 2),
        ("num_images", 2.0, 2),
        ("seed", "0042", 42),
        ("cfg_scale", "7", "7.0"),
        ("cfg_scale", "7.25", "7.25"),
        ("denoising_strength", "0.5", 0.5),
        ("text", 12, "12"),
    ],
)
def test_json_values_are_read_as_their_type_where_nothing_is_lost(api, attribute, given, shown):
    body = {"prompt": {"text": "a", attribute: given}}
    assert api.post("/tunes/690204/prompts", body)[attribute] == shown


def test_unknown_attributes_are_ignored(api):
    extra = {
        "face_detection": True, "width": 10, "sampler": "x", "base_tune": {"id": 1},
        "output_quality": [1], "class_name": "x", "pack_id": 7, "status": "done", "id": 1,
    }  # fmt: skip
    tune = api.tune(**extra)
    assert not (extra.keys() - {"id"}) & tune.keys()
    assert tune["id"] != 1
    extra.pop("pack_id")
    prompt = api.prompt(690204, **extra, images=["x"], trained_at="now", liked=True)
    assert (prompt["images"], prompt["trained_at"], prompt["liked"]) == ([], None, False)


def test_text_of_any_script_comes_back_unchanged(api):
    text = 'Zoë 写真 🙂 <b>&amp;\u2028 "quoted" \\ end'
    assert api.prompt(690204, text)["text"] == text
    for kind in (FORM, MULTIPART):
        assert (
            sent(api, "/tunes/690204/prompts", kind, [("prompt[text]", text)]).json["text"] == text
        )


# -- paths and headers -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path", ["/tunes", "/tunes.json", "/tunes/", "//tunes", "//tunes//", "/tunes.json/"]
)
def test_path_may_end_in_json_or_slashes(api, path):
    at = {"environ_overrides": {"PATH_INFO": path}}  # a client would take //tunes for a host
    made = api.post("/", {"tune": {"title": "t", "name": "man", "image_urls": URLS}}, **at)
    assert [tune["id"] for tune in api.get("/", **at)] == [made["id"]]


def test_path_of_one_object_may_end_in_json_or_slashes(api):
    prompt = api.prompt(690204)["id"]
    for path in ("/prompts/{}.json", "/prompts/{}/", "/tunes/690204//prompts/{}"):
        assert api.get(path.format(prompt))["id"] == prompt
    assert api.call("POST", f"/prompts/{prompt}/likes.json").status_code == 201
    assert api.call("DELETE", f"/prompts/{prompt}.json").status_code == 200


@pytest.mark.parametrize("kind", [JSON, FORM, MULTIPART, "text/plain"])
def test_content_type_without_a_body_does_not_matter_on_get_and_delete(api, kind):
    id = api.tune()["id"]
    headers = {"Content-Type": kind}
    for path in ("/tunes", f"/tunes/{id}", "/users"):
        assert api.call("GET", path, headers=headers).status_code == 200
    assert api.call("DELETE", f"/tunes/{id}", headers=headers).status_code == 200


def test_charset_beside_the_content_type_does_not_matter(api):
    body = json.dumps({"prompt": {"text": "é"}}).encode()
    answer = api.call(
        "POST", "/tunes/690204/prompts", data=body, content_type="Application/JSON; charset=utf-8"
    )
    assert answer.json["text"] == "é"


# -- multipart -------------------------------------------------------------------------------------
def raw_multipart(api, body):
    kind = f"{MULTIPART}; boundary=frontier"
    return api.call("POST", "/tunes/690204/prompts", data=body, content_type=kind)


@pytest.mark.parametrize(
    "disposition",
    ["Content-Disposition: form-data", 'Content-Disposition: form-data; name=""', "X: y"],
)
def test_part_without_a_name_is_a_bad_request(api, disposition):
    answer = raw_multipart(
        api, f"--frontier\r\n{disposition}\r\n\r\nx\r\n--frontier--\r\n".encode()
    )
    assert 400 <= answer.status_code < 500
    assert answer.json["status"] == answer.status_code
    assert api.get("/prompts") == []


@pytest.mark.parametrize("body", [b"", b"nonsense", multipart([("prompt[text]", "a")])[:-8]])
def test_broken_multipart_is_refused(api, body):
    answer = raw_multipart(api, body)
    assert answer.status_code in (400, 422)
    assert api.get("/prompts") == []


def test_multipart_without_a_boundary_is_a_bad_request(api):
    body = multipart([("prompt[text]", "a")])
    answer = api.call("POST", "/tunes/690204/prompts", data=body, content_type=MULTIPART)
    assert answer.status_code == 400


def test_file_input_left_empty_in_a_browser_is_passed_over(api):
    part = (
        b'--frontier\r\nContent-Disposition: form-data; name="prompt[input_image]"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n"
    )
    answer = raw_multipart(api, part + multipart([("prompt[text]", "a")]))
    assert (answer.status_code, answer.json["input_image"]) == (201, None)


def test_text_where_a_file_belongs_is_refused(api):
    answer = sent(api, "/tunes", MULTIPART, [*BASE, ("tune[images][]", "1.jpg")])
    assert (answer.status_code, answer.json) == (422, {"images": ["is not a file"]})
