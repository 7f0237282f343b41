"""The journal of requests: what is kept of each, and what is not."""

import io

import pytest

from astria_emulator.request.journal import SIZE

PICTURE = b"\xff\xd8\xff\xe0" + bytes(20)


def journal(api, **query):
    return api.client.get("/_emulator/requests", query_string=query).json


def test_request_is_kept_with_what_was_sent_and_answered(api):
    tune = api.tune(title="Jane")
    [entry] = journal(api)
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/tunes", 201)
    assert (entry["operation"], entry["account"]) == ("create_tune", 1)
    assert entry["body"]["tune"]["title"] == tune["title"]
    assert entry["at"].startswith("2026-01-01T00:00:0")
    assert entry["faults"] == []


def test_form_is_kept_nested_and_files_by_name_and_size(api):
    data = {
        "tune[title]": "Jane",
        "tune[name]": "woman",
        "tune[images][]": (io.BytesIO(PICTURE), "me.jpg", "image/jpeg"),
    }
    assert api.call("POST", "/tunes", data=data).status_code in (201, 422)
    [entry] = journal(api)
    file = {"file": "me.jpg", "content_type": "image/jpeg", "bytes": len(PICTURE)}
    assert entry["body"] == {"tune": {"title": "Jane", "name": "woman", "images": [file]}}


def test_query_is_kept_nested(api):
    api.get("/tunes?limit=5&offset=2")
    assert journal(api)[0]["query"] == {"limit": "5", "offset": "2"}


def test_key_is_never_kept(api):
    api.call("GET", "/tunes", headers={"Cookie": "session=secret", "X-Trace": "7"})
    text = api.client.get("/_emulator/requests").text
    assert "sd_test" not in text
    assert "secret" not in text
    assert journal(api)[0]["headers"]["X-Trace"] == "7"


def test_object_that_was_made_is_named(api):
    tune = api.tune()
    api.get("/tunes")
    api.prompt(tune["id"])
    made = [entry["made"] for entry in journal(api)]
    assert made == [
        {"object": "prompt", "object_id": 45000001},
        None,
        {"object": "tune", "object_id": tune["id"]},
    ]


@pytest.mark.parametrize(("work_done", "made"), [(True, 5000001), (False, None)])
def test_request_that_a_fault_answers_is_kept_whole(api, work_done, made):
    rule = {"fault": "gateway-timeout", "operation": "create_tune", "work_done": work_done}
    api.client.post("/_emulator/faults", json=rule)
    body = {"tune": {"title": "Jane", "name": "woman", "image_urls": ["https://a.test/1"]}}
    assert api.call("POST", "/tunes?view=board", json=body).status_code == 504
    [entry] = journal(api)
    assert (entry["body"], entry["query"]) == (body, {"view": "board"})
    assert (entry["made"] or {}).get("object_id") == made


def test_refusal_is_explained(api):
    api.call("POST", "/tunes", json={"tune": {"title": "Jane", "steps": "many"}})
    [entry] = journal(api)
    assert entry["status"] == 422
    assert "name can't be blank" in entry["explanation"]
    assert "steps" in entry["explanation"]


@pytest.mark.parametrize(
    ("method", "path", "nearest"),
    [
        ("GET", "/tuns/5", "GET /tunes/{id} (get_tune)"),
        ("POST", "/tune", "POST /tunes (create_tune)"),
        ("GET", "/v1/tunes", "GET /tunes (list_tunes)"),
    ],
)
def test_address_that_leads_nowhere_names_the_nearest_operation(api, method, path, nearest):
    assert api.call(method, path).status_code == 404
    [entry] = journal(api)
    assert entry["operation"] is None
    assert entry["explanation"].endswith(f"the nearest is {nearest}")


def test_newest_come_first_and_can_be_narrowed(api):
    tune = api.tune()
    api.get(f"/tunes/{tune['id']}")
    api.get("/tunes")
    assert [entry["operation"] for entry in journal(api)] == [
        "list_tunes", "get_tune", "create_tune"
    ]  # fmt: skip
    assert [entry["id"] for entry in journal(api, operation="get_tune")] == [2]
    assert len(journal(api, limit=2)) == 2


def test_it_is_a_ring(make_app):
    from astria_emulator.request.journal import Journal, Note

    kept = Journal()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    for _ in range(SIZE + 10):
        kept.add(Note(0.0), environ, None, 200, 0.0)
    entries = kept.entries()
    assert (len(entries), entries[0].id, entries[-1].id) == (SIZE, 11, SIZE + 10)


@pytest.mark.parametrize("kind", ["json", "form"])
def test_long_body_is_not_kept(api, kind):
    text = {"text": "x" * 200_000}
    sent = {"json": {"tune": text}} if kind == "json" else {"data": {"tune[text]": text["text"]}}
    api.call("POST", "/tunes", **sent)
    [entry] = journal(api)
    assert "xxx" not in str(entry)


@pytest.mark.parametrize("body", ["{", "[1, 2", '"text"'])
def test_body_that_is_no_json_object_is_shown_as_it_came(api, body):
    api.call("POST", "/tunes", data=body, content_type="application/json")
    assert str(journal(api)[0]["body"]) in (body, body.strip('"'))


def test_form_that_contradicts_itself_is_shown_as_pairs(api):
    body = "tune=1&tune[title]=Jane"
    api.call("POST", "/tunes", data=body, content_type="application/x-www-form-urlencoded")
    assert journal(api)[0]["body"] == [["tune", "1"], ["tune[title]", "Jane"]]


def test_reset_empties_it(api):
    api.get("/tunes")
    api.client.post("/_emulator/reset")
    assert journal(api) == []


def test_calls_of_the_control_surface_are_not_in_it(api):
    api.client.get("/_emulator/info")
    assert journal(api) == []


def test_key_that_is_no_accounts_is_explained(api):
    api.call("GET", "/tunes", headers={"Authorization": "Bearer test-key"})
    [entry] = journal(api)
    assert "Bearer sd_" in entry["explanation"]
    assert "test-key" not in entry["explanation"]
