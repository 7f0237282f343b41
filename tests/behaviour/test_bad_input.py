"""Bad input: each is refused with what is wrong, and nothing is stored."""

import json
import struct
from base64 import b64encode
from io import BytesIO

import pytest
from urllib3 import encode_multipart_formdata

from astria_emulator.objects.accounts import authenticate
from astria_emulator.storage.store import Query

FILES = ("input_image", "mask_image", "video_first_frame", "video_last_frame")
TOO_MANY = {400: "must have at most 100 megapixels", 1: "must have at most 1 megapixels"}
NO_PICTURE = b"not a picture"
VIDEO = {"text": "a", "video_prompt": "b", "video_model": "seedance_480p"}


def png(width, height):
    """The first bytes of a PNG of this size, without its pixels."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", width, height) + bytes(5)


BOMB = png(40_000, 40_000)


def tune_form(*images):
    parts = [(BytesIO(data), name, "image/jpeg") for name, data in images]
    return {"tune[title]": "t", "tune[name]": "man", "tune[images][]": parts}


def refused(api, path, status=422, **sent):
    """The body of a refusal, after which nothing is stored."""
    before = stored(api)
    answer = api.call("POST", path, **sent)
    assert answer.status_code == status, answer.text
    assert stored(api) == before
    return answer.json


def stored(api):
    """What an account has, and how many files there are; asked without a request."""
    services = api.client.application.services
    account = authenticate(services, f"Bearer {api.key}").id
    tables = ("tune", "prompt", "pack", "workspace", "order", "run")
    rows = [[dict(row) for row in services.store.find(t, Query(account))] for t in tables]
    files = services.files
    kept = files._files if hasattr(files, "_files") else list(files._folder.rglob("*"))
    return rows, len(kept)


# -- pictures --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "message"),
    [(NO_PICTURE, "is not an image"), (BOMB, "must have at most 100 megapixels")],
)
def test_file_that_is_no_fit_picture_is_refused_under_its_field(api, photo, data, message):
    for path in ("/tunes", "/p/260/tunes"):
        form = tune_form(("1.jpg", photo()), ("2.jpg", data))
        assert refused(api, path, data=form) == {"images": [message]}
    for name in FILES:
        form = {"prompt[text]": "a", f"prompt[{name}]": (BytesIO(data), "a.jpg", "image/jpeg")}
        assert refused(api, "/tunes/690204/prompts", data=form) == {name: [message]}
        form |= {"prompt[tune_id]": "690204", f"prompt[{name}]": (BytesIO(data), "a.jpg")}
        assert refused(api, "/prompts", data=form) == {name: [message]}
    form = {f"prompt[{name}]": value for name, value in VIDEO.items()}
    form["prompt[image_references][]"] = [(BytesIO(photo()), "a"), (BytesIO(data), "b")]
    assert refused(api, "/tunes/690204/prompts", data=form) == {"image_references": [message]}
    form = {"name": "man", "file": (BytesIO(data), "a.jpg", "image/jpeg")}
    assert refused(api, "/images/inspect", data=form) == {"file": [message]}


@pytest.mark.parametrize(
    ("data", "message"),
    [(NO_PICTURE, "is not an image"), (BOMB, "must have at most 100 megapixels")],
)
def test_base64_text_that_is_no_fit_picture_is_refused(api, data, message):
    prompt = {
        "text": "a",
        "input_image_base64": f"data:image/png;base64,{b64encode(data).decode()}",
    }
    told = {"input_image_base64": [message]}
    assert refused(api, "/tunes/690204/prompts", json={"prompt": prompt}) == told
    original = api.prompt(690204)
    api.finish()
    path = f"/prompts/{original['id']}/duplicate"
    assert refused(api, path, json={"prompt": prompt}) == told
    nested = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
    told = {"prompts.input_image_base64": [message]}
    body = {"tune": {**nested, "prompts_attributes": [{"text": "b"}, prompt]}}
    assert refused(api, "/tunes", json=body) == told
    told = {"prompt_attributes.input_image_base64": [message]}
    body = {"tune": {**nested, "prompt_attributes": prompt}}
    assert refused(api, "/p/260/tunes", json=body) == told


def test_every_field_with_a_bad_picture_is_named(api, photo):
    data = {
        **tune_form(("1.jpg", NO_PICTURE)),
        "tune[prompts_attributes][][text]": "a",
        "tune[prompts_attributes][][input_image]": (BytesIO(BOMB), "a"),
        "tune[prompts_attributes][][mask_image]": (BytesIO(photo()), "a"),
    }
    assert refused(api, "/tunes", data=data) == {
        "images": ["is not an image"],
        "prompts.input_image": ["must have at most 100 megapixels"],
    }


def test_file_that_is_not_used_does_not_matter(api, photo):
    """A file wins over base64 text."""
    form = {
        "prompt[text]": "a",
        "prompt[input_image]": (BytesIO(photo()), "a.jpg"),
        "prompt[input_image_base64]": f"data:image/png;base64,{b64encode(NO_PICTURE).decode()}",
    }
    made = api.post("/tunes/690204/prompts", data=form)
    assert api.client.get(made["input_image"]).data == photo()


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "video/mp4"])
def test_picture_is_known_by_its_content(api, photo, kind):
    data = {"prompt[text]": "a", "prompt[input_image]": (BytesIO(photo()), "a.exe", kind)}
    made = api.post("/tunes/690204/prompts", data=data)
    assert api.client.get(made["input_image"]).content_type.partition(";")[0] == kind


@pytest.mark.parametrize("name", ["input_video", "audio_reference"])
def test_video_and_sound_are_not_looked_at(api, name):
    form = {"prompt[text]": "a", f"prompt[{name}]": (BytesIO(NO_PICTURE), "a.bin")}
    made = api.post("/tunes/690204/prompts", data=form)
    if name in made:
        assert api.client.get(made[name]).data == NO_PICTURE


def test_picture_may_be_as_large_as_the_settings_say(make_api):
    api = make_api(max_megapixels=1)
    assert api.post("/tunes", data=tune_form(("1.png", png(1000, 1000))))
    api.finish()
    told = {"images": ["must have at most 1 megapixels"]}
    assert refused(api, "/tunes", data=tune_form(("1.png", png(1000, 1001)))) == told


# -- too large -------------------------------------------------------------------------------------
@pytest.mark.parametrize("place", ["tune", "prompt", "video", "base64", "text"])
def test_file_that_is_larger_than_the_limit_is_refused(make_api, photo, place):
    api = make_api(max_file_mb=1)
    data = photo() + bytes(1_000_001 - len(photo()))
    told = {"status": 413, "error": "Payload Too Large"}
    if place == "base64":
        text = f"data:image/jpeg;base64,{b64encode(data).decode()}"
        sent = {"json": {"prompt": {"text": "a", "input_image_base64": text}}}
    else:
        file = ("a.jpg", data)
        fields = {
            "tune": {"tune[title]": "t", "tune[name]": "man", "tune[images][]": file},
            "prompt": {"prompt[text]": "a", "prompt[input_image]": file},
            "video": {"prompt[text]": "a", "prompt[input_video]": file},
            "text": {"prompt[text]": "a" * 1_000_001},
        }[place]
        body, kind = encode_multipart_formdata(fields)
        sent = {"data": body, "content_type": kind}
    path = "/tunes" if place == "tune" else "/tunes/690204/prompts"
    assert refused(api, path, 413, **sent) == told


# -- null characters -------------------------------------------------------------------------------
NULL = "a\0b"
NO_NULLS = {"status": 400, "error": "text holds a null character"}


@pytest.mark.parametrize("sent", ["json", "data"])
def test_text_with_a_null_character_is_a_bad_request(api, sent):
    body = {"prompt": {"text": NULL}} if sent == "json" else {"prompt[text]": NULL}
    assert refused(api, "/tunes/690204/prompts", 400, **{sent: body}) == NO_NULLS


@pytest.mark.parametrize(
    "characteristics", [{NULL: "a"}, {"a": NULL}, '{"a": "\\u0000"}', '{"a\\u0000": "b"}']
)
def test_null_character_is_found_in_keys_and_in_json_text(api, characteristics):
    tune = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
    body = {"tune": {**tune, "characteristics": characteristics}}
    assert refused(api, "/tunes", 400, json=body) == NO_NULLS


@pytest.mark.parametrize("path", ["/tunes?title=a%00b", "/prompts?text=%00", "/tunes?name[]=%00"])
def test_null_character_in_the_query_is_a_bad_request(api, path):
    answer = api.call("GET", path)
    assert (answer.status_code, answer.json) == (400, NO_NULLS)


@pytest.mark.parametrize("path", ["/p/a%00b", "/tunes/1%00", "/tunes/690204/prompts/%00"])
def test_null_character_in_the_path_is_a_bad_request(api, path):
    answer = api.call("GET", path)
    assert (answer.status_code, answer.json) == (400, NO_NULLS)


# -- too deep, too many ----------------------------------------------------------------------------
TUNE = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
URLENCODED = "application/x-www-form-urlencoded"


def deep(levels, start='{"a":', end="}"):
    return start * levels + "1" + end * levels


@pytest.mark.parametrize("levels", [101, 900, 1000, 10_000])
@pytest.mark.parametrize(("start", "end"), [('{"a":', "}"), ("[", "]"), ('[{"a":', "}]")])
@pytest.mark.parametrize("place", ["{}", '{{"tune": {}}}', '{{"tune": {{"characteristics": {}}}}}'])
def test_json_that_nests_too_deep_is_a_bad_request(api, place, start, end, levels):
    body = place.format(deep(levels, start, end))
    told = refused(api, "/tunes", 400, data=body, content_type="application/json")
    assert told == {"status": 400, "error": "the JSON body nests deeper than 100 levels"}


@pytest.mark.parametrize("field", ["characteristics", "prompts_attributes", "title"])
def test_json_text_in_a_field_that_nests_deep_is_no_object(api, field):
    for levels in (900, 100_000):
        body = {"tune": {**TUNE, field: deep(levels, "[", "]") if field != "title" else ["a"]}}
        assert field.removesuffix("_attributes") in str(refused(api, "/tunes", json=body))


@pytest.mark.parametrize("name", ["a" + "[b]" * 1000, "tune" + "[]" * 1000, "a" + "[][b]" * 500])
def test_form_that_nests_too_deep_is_a_bad_request(api, name):
    told = {"status": 400, "error": "form field nests deeper than 32 levels"}
    assert refused(api, "/tunes", 400, data={name: "x"}) == told
    files = {name: "x", "f": (BytesIO(b"a"), "a")}
    assert refused(api, "/tunes", 400, data=files) == told
    answer = api.call("GET", "/tunes", query_string={name: "x"})
    assert (answer.status_code, answer.json) == (400, told)


MANY = 100_000
TOO_MANY_FIELDS = {"status": 400, "error": "the form has more than 10000 fields"}


def test_urlencoded_body_with_too_many_fields_is_a_bad_request(api):
    sent = {"data": "&".join(["a[][b]=1"] * MANY), "content_type": URLENCODED}
    assert refused(api, "/tunes", 400, **sent) == TOO_MANY_FIELDS


def test_query_with_too_many_fields_is_a_bad_request(api):
    answer = api.call("GET", "/tunes", query_string="&".join(["a=1"] * MANY))
    assert (answer.status_code, answer.json) == (400, TOO_MANY_FIELDS)


def test_multipart_body_with_too_many_parts_is_refused(api):
    part = b'--b\r\nContent-Disposition: form-data; name="a[][b]"\r\n\r\n1\r\n'
    sent = {"data": part * MANY + b"--b--\r\n", "content_type": "multipart/form-data; boundary=b"}
    assert refused(api, "/tunes", 413, **sent) == {"status": 413, "error": "Payload Too Large"}


def test_json_with_many_unknown_keys_is_read(api):
    """Unknown keys are dropped, however many."""
    many = {f"k{at}": at for at in range(MANY)}
    assert set(refused(api, "/tunes", json={**many, "tune": many})) == {"title", "name", "images"}


@pytest.mark.parametrize(
    "field", ["image_urls", "prompts_attributes", "callback", "title", "characteristics"]
)
def test_json_with_a_long_array_of_the_wrong_things_is_refused(api, field):
    told = refused(api, "/tunes", json={"tune": {**TUNE, field: [5, {}, None] * (MANY // 3)}})
    assert len(str(told)) < 1000


# -- ids beyond 64 bits ----------------------------------------------------------------------------
BEYOND = (2**63, 2**64, -(2**63) - 1, 10**300, "9" * 300, "9223372036854775808", 1e300)


@pytest.mark.parametrize("id", BEYOND)
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/tunes", {"tune": {**TUNE, "base_tune_id": "{}"}}, "base_tune_id"),
        ("/prompts", {"prompt": {"text": "a", "tune_id": "{}"}}, "tune_id"),
        ("/prompts", {"prompt": {"text": "a", "tune_id": 690204, "pack_id": "{}"}}, "pack_id"),
        ("/tunes/690204/prompts", {"prompt": {"text": "a", "seed": "{}"}}, "seed"),
        ("/tunes/690204/prompts", {"prompt": {"text": "a", "workspace_id": "{}"}}, "workspace_id"),
        ("/packs", {"pack": {"title": "a", "base_tune_id": "{}"}}, "base_tune_id"),
        ("/themes", {"theme": {"theme": "a", "tune_ids": ["{}"]}}, "tune_ids"),
        ("/p/260/tunes", {"tune": {"title": "a", "tune_ids": ["{}"]}}, "tune_ids"),
        ("/p/260/tunes", {"tune": {"tune_ids": [690204], "prompt_ids": ["{}"]}}, "prompt_ids"),
    ],
)
def test_number_beyond_64_bits_in_the_body_is_refused(api, path, body, field, id):
    text = json.dumps(body).replace('"{}"', json.dumps(id))
    told = refused(api, path, data=text, content_type="application/json")
    assert list(told) in ([field], [field.removesuffix("_id")])


@pytest.mark.parametrize("id", BEYOND)
@pytest.mark.parametrize("name", ["tune_id", "pack_id", "offset", "limit", "user_id", "order_id"])
def test_number_beyond_64_bits_in_the_query_is_refused(api, name, id):
    answer = api.call("GET", "/prompts", query_string={name: id})
    clamped = name == "limit" and answer.status_code == 200
    assert clamped or (answer.status_code, answer.json["status"]) == (400, 400)


@pytest.mark.parametrize(
    "text", [f"<lora:{10**30}:1> a", "<lora:9223372036854775808:1>", "<lora:²:1>"]
)
def test_tune_in_a_text_that_cannot_exist_is_left_alone(api, text):
    assert api.prompt(690204, text)["text"] == text


@pytest.mark.parametrize("scope", [str(2**64), "-1", "x", "\xff", "1" * 5000])
def test_workspace_that_cannot_exist_is_refused(api, scope):
    answer = api.call("GET", "/tunes", headers={"X-Workspace-Id": scope})
    assert answer.status_code in (400, 404)
    assert answer.json["status"] == answer.status_code


# -- broken text -----------------------------------------------------------------------------------
def multipart(disposition, content=b"a"):
    head = b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n"
    data = head + content + b"\r\n--b--\r\n"
    return {"data": data, "content_type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    "sent",
    [
        multipart(b'name="prompt[text]"', b"\xff"),
        multipart(b'name="prompt[text]"', b"\xed\xa0\x80"),
        multipart(b'name="prompt[\xff]"'),
        multipart(b'name="prompt[input_image]"; filename="\xff.jpg"'),
        multipart(b"name*=utf-8''%ff"),
        multipart(b"name"),
        {"data": b"prompt[text]=%ff", "content_type": URLENCODED},
        {"data": b"prompt[%ff]=a", "content_type": URLENCODED},
        {"data": b"prompt[text]=%ed%a0%80", "content_type": URLENCODED},
        {"data": b'{"prompt": {"text": "\xff"}}', "content_type": "application/json"},
        {"data": b'{"prompt": {"text": "\xed\xa0\x80"}}', "content_type": "application/json"},
        {"data": b'{"prompt": {"\\udfff": "a"}}', "content_type": "application/json"},
        {"data": b"\xef\xbb\xbf{", "content_type": "application/json"},
        {"data": "{}".encode("utf-16"), "content_type": "application/json"},
    ],
)
def test_text_that_is_no_utf_8_is_refused(api, sent):
    answer = api.call("POST", "/tunes/690204/prompts", **sent)
    assert answer.status_code in (400, 422)
    told = answer.json
    assert told.get("status", 400) == 400
    assert api.get("/prompts") == []


def test_half_a_surrogate_pair_in_json_text_within_a_form_is_not_read(api):
    body = {f"tune[{name}]": value for name, value in TUNE.items() if name != "image_urls"}
    body |= {"tune[image_urls][]": TUNE["image_urls"], "tune[characteristics]": '{"a": "\\ud800"}'}
    assert set(refused(api, "/tunes", data=body)) == {"characteristics"}


@pytest.mark.parametrize(
    "path", ["/p/%ff", "/tunes/%ff", "/%ff", "/p/%ed%a0%80", "/tunes?title=%ff", "/tunes?%ff=a"]
)
def test_path_or_query_that_is_no_utf_8_is_refused(api, path):
    answer = api.call("GET", path)
    assert answer.status_code in (400, 404)
    assert answer.json["status"] == answer.status_code


@pytest.mark.parametrize("name", ["Authorization", "X-Workspace-Id", "Content-Type", "Host"])
def test_header_that_is_no_text_is_refused(api, name):
    headers = {name: "Bearer sd_\xff\x80" if name == "Authorization" else "\xff\x80"}
    answer = api.call("POST", "/packs", json={"pack": {"title": "a"}}, headers=headers)
    assert answer.status_code in ((201, 401) if name == "Authorization" else (400, 404, 415))


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=" + "b" * 100_000, "multipart/form-data; boundary=\xff",
             "multipart/form-data; boundary=\"\"", "application/json; " + "a=b; " * 10_000,
             "a" * 60_000, "/", "multipart/mixed; boundary=b"]
)  # fmt: skip
def test_content_type_that_makes_no_sense_is_refused(api, kind):
    told = refused(api, "/tunes", status_of(kind), data=b"--b\r\n", content_type=kind)
    assert told["status"] == status_of(kind)


def status_of(kind):
    return 400 if kind.startswith(("multipart/form-data", "application/json")) else 415
