"""Bodies in three encodings, and the same for curl."""

import json
from urllib.parse import parse_qsl

import pytest
import requests

from astria_contracts.spec.document import JSON, MULTIPART, URLENCODED
from astria_contracts.spec.encoding import File, bracketed, curl_body, encode

PICTURE = File("1.png", b"\x89PNG")


def sent(body, media_type):
    """The headers and the body of a request."""
    request = requests.Request("POST", "http://localhost", **encode(body, media_type)).prepare()
    return request.headers.get("Content-Type"), request.body


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"a": "x"}, [("a", "x")]),
        ({"tune": {"title": "x", "steps": 5}}, [("tune[title]", "x"), ("tune[steps]", "5")]),
        ({"tune": {"urls": ["x", "y"]}}, [("tune[urls][]", "x"), ("tune[urls][]", "y")]),
        (
            {"tune": {"prompts": [{"text": "x"}, {"text": "y", "tags": ["z"]}]}},
            [
                ("tune[prompts][0][text]", "x"),
                ("tune[prompts][1][text]", "y"),
                ("tune[prompts][1][tags][]", "z"),
            ],
        ),
        ({"a": True, "b": False}, [("a", "true"), ("b", "false")]),
        ({"a": None, "b": [], "c": {}}, []),
        ({"a": 1.5, "b": ""}, [("a", "1.5"), ("b", "")]),
        ({"a": {"file": PICTURE}}, [("a[file]", PICTURE)]),
    ],
)
def test_form_names_nested_fields_with_brackets(body, fields):
    assert list(bracketed("", body)) == fields


def test_json_is_sent_as_ascii():
    kind, content = sent({"a": ["ä\ud800", None]}, JSON)
    assert kind == JSON
    assert content == b'{"a": ["\\u00e4\\ud800", null]}'


def test_urlencoded_form_is_sent_with_its_fields():
    kind, content = sent({"a": {"b": "x&y=ü"}, "c": ["1", "2"]}, URLENCODED)
    assert kind == URLENCODED
    assert parse_qsl(content) == [("a[b]", "x&y=ü"), ("c[]", "1"), ("c[]", "2")]


def test_empty_urlencoded_form_still_has_its_type():
    kind, content = sent({}, URLENCODED)
    assert (kind, content) == (URLENCODED, None)


def test_multipart_form_has_texts_and_files():
    kind, content = sent({"a": {"text": "x", "file": PICTURE}}, MULTIPART)
    assert kind.startswith(f"{MULTIPART}; boundary=")
    assert b'name="a[text]"\r\n\r\nx\r\n' in content
    assert b'name="a[file]"; filename="1.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG' in content


def test_empty_multipart_form_is_multipart_all_the_same():
    kind, _ = sent({}, MULTIPART)
    assert kind.startswith(MULTIPART)


@pytest.mark.parametrize(
    ("body", "media_type", "words"),
    [
        ({"a": "ä"}, JSON, ["-H", f"Content-Type: {JSON}", "--data", '{"a": "\\u00e4"}']),
        ({"a": {"b": "x y"}}, URLENCODED, ["--data-urlencode", "a[b]=x y"]),
        # -F would read a file where a text begins with @, and cut it at a semicolon.
        ({"a": "@x;type=y"}, MULTIPART, ["--form-string", "a=@x;type=y"]),
        ({"a": PICTURE}, MULTIPART, ["-F", "a=@1.png;type=image/png"]),
    ],
)
def test_curl_sends_the_same(body, media_type, words):
    assert curl_body(body, media_type) == words


def test_curl_body_of_json_is_the_body():
    body = {"a": [1, None, True, {"b": "'\"\\"}]}
    assert json.loads(curl_body(body, JSON)[-1]) == body


def test_file_is_shown_by_name_and_size():
    assert repr(PICTURE) == "File('1.png', 4 bytes)"
