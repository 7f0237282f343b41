"""Errors that have no object: paths, methods, bodies."""

import pytest

BODY = {404: "Not Found", 405: "Method Not Allowed", 415: "Unsupported Media Type"}
PATHS = (
    "/tunes/{}",
    "/prompts/{}",
    "/tunes/{}/prompts",
    "/tunes/{}/prompts/1",
    "/tunes/690204/prompts/{}",
    "/workspaces/{}",
)


@pytest.mark.parametrize(
    "id",
    ["x", "0", "-1", "1.5", "1e3", "99", "9223372036854775807", "9223372036854775808",
     "99999999999999999999999999", "%20", "null", "١٢", "5000001x"],
)  # fmt: skip
def test_id_that_is_no_number_or_too_large_is_not_found(api, id):
    api.tune()
    for path in PATHS:
        answer = api.call("GET", path.format(id))
        assert (answer.status_code, answer.json) == (404, {"status": 404, "error": "Not Found"}), (
            path
        )


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("id", ["x", "99", "9223372036854775808"])
def test_change_of_what_does_not_exist_is_not_found(api, method, id):
    for path in ("/tunes/{}", "/prompts/{}", "/tunes/690204/prompts/{}"):
        body = {"tune": {"title": "a"}, "prompt": {"base_pack_id": 260}}
        assert api.call(method, path.format(id), json=body).status_code == 404


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/tunes/1/prompts/2/3", "/generate/x", "/p"])
def test_unknown_path_is_not_found(api, path):
    answer = api.call("GET", path)
    assert (answer.status_code, answer.json) == (404, {"status": 404, "error": "Not Found"})
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/tunes", {"GET", "POST"}),
        ("DELETE", "/tunes", {"GET", "POST"}),
        ("POST", "/tunes/1", {"GET", "PATCH", "DELETE"}),
        ("PUT", "/tunes/1", {"GET", "PATCH", "DELETE"}),
        ("PATCH", "/prompts/1/likes", {"POST", "DELETE"}),
        ("GET", "/prompts/1/like", {"POST", "DELETE"}),
        ("GET", "/p/260/tunes", {"POST"}),
        ("POST", "/users", {"GET"}),
        ("DELETE", "/workspaces/1", {"GET", "PATCH"}),
    ],
)
def test_method_that_a_path_does_not_have_is_answered_with_those_it_has(api, method, path, allowed):
    answer = api.call(method, path)
    assert (answer.status_code, answer.json) == (405, {"status": 405, "error": BODY[405]})
    named = {name.strip() for name in answer.headers["Allow"].split(",")}
    assert named - {"HEAD"} == allowed


@pytest.mark.parametrize(
    "body",
    [b"{", b"not json", b'{"prompt": }', b'{"prompt": {"seed": NaN}}', b"[]",
     b'"text"', b"1", b"null", b"\xff\xfe", b'{"prompt": {"text": "\\ud800"}}', b"[" * 100_000],
)  # fmt: skip
def test_body_that_is_no_json_object_is_a_bad_request(api, body):
    answer = api.call("POST", "/tunes/690204/prompts", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["status"] == 400
    assert answer.json["error"]
    assert api.get("/prompts") == []


def test_urlencoded_body_that_calls_itself_json_is_a_bad_request(api):
    data = "theme[theme]=a&theme[tune_ids][]=690204"
    answer = api.call("POST", "/themes", data=data, content_type="application/json")
    assert answer.status_code == 400


def test_urlencoded_body_that_is_not_utf_8_is_a_bad_request(api):
    kind = "application/x-www-form-urlencoded"
    answer = api.call("POST", "/tunes", data=b"tune[title]=%ff", content_type=kind)
    assert answer.status_code == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "image/jpeg", "nonsense"])
def test_body_of_another_content_type_is_refused(api, kind):
    answer = api.call("POST", "/tunes", data=b"x", content_type=kind)
    assert (answer.status_code, answer.json) == (415, {"status": 415, "error": BODY[415]})


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=frontier"])
def test_body_that_is_too_large_is_refused(make_api, kind):
    api = make_api(max_body_mb=1)
    part = b'--frontier\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    for data in (b" " * 1_000_001, part + b"x" * 1_000_000 + b"\r\n--frontier--\r\n"):
        answer = api.call("POST", "/tunes", data=data, content_type=kind)
        assert (answer.status_code, answer.json) == (
            413,
            {"status": 413, "error": "Payload Too Large"},
        )


@pytest.mark.parametrize(
    ("path", "messages"),
    [
        ("/tunes", {"title", "name", "images"}),
        ("/tunes/690204/prompts", {"text"}),
        ("/prompts", {"text", "tune_id"}),
        ("/packs", {"title"}),
        ("/themes", {"theme", "tune_ids"}),
        ("/workspaces", {"title"}),
        ("/images/inspect", {"name", "file_url"}),
        ("/p/260/tunes", {"title", "name", "images"}),
    ],
)
@pytest.mark.parametrize("body", ["none", "{}", "wrapper"])
def test_body_that_is_missing_or_empty_is_refused_with_messages(api, path, messages, body):
    wrapper = {"tunes": "tune", "prompts": "prompt", "packs": "pack", "workspaces": "workspace"}
    empty = {wrapper.get(path.rpartition("/")[2], "theme"): {}}
    given = {"none": {}, "{}": {"json": {}}, "wrapper": {"json": empty}}[body]
    answer = api.call("POST", path, **given)
    assert (answer.status_code, set(answer.json)) == (422, messages)
    assert all(isinstance(texts, list) and texts for texts in answer.json.values())


@pytest.mark.parametrize("wrapper", [None, [], "text", 5])
def test_wrapper_that_is_no_object_is_refused(api, wrapper):
    answer = api.call("POST", "/tunes", json={"tune": wrapper})
    assert answer.status_code == 422


@pytest.mark.parametrize("nested", [[None], ["x"], "x", 5, {"text": "a"}, [[]], {"0": "x"}])
def test_nested_prompts_of_the_wrong_shape_are_refused(api, nested):
    tune = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
    answer = api.call("POST", "/tunes", json={"tune": {**tune, "prompts_attributes": nested}})
    assert answer.status_code == 422
    assert api.get("/tunes") == []


def test_unexpected_error_shows_no_detail(make_app, monkeypatch):
    api_app = make_app()
    monkeypatch.setattr(api_app.services.store, "find", lambda *_: 1 / 0)
    answer = api_app.test_client().get("/tunes", headers={"Authorization": "Bearer sd_test"})
    assert (answer.status_code, answer.json) == (
        500,
        {"status": 500, "error": "Internal Server Error"},
    )
