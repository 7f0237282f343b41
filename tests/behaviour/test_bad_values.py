"""What no field may hold: null characters, deep nesting, ids beyond 64 bits, broken text."""

import json
from io import BytesIO

import pytest

from tests.behaviour.bad_requests import refused

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
