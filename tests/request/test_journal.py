"""The journal of requests: what is kept of each, and what is not."""

import io
import sys
from collections import deque
from dataclasses import is_dataclass, replace
from itertools import islice

import pytest

from astria_emulator.request import journal as journal_module
from astria_emulator.request.calls import Call
from astria_emulator.request.journal import SIZE, Journal, Note
from astria_emulator.request.uploads import Upload

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


# -- how much is kept ------------------------------------------------------------------------------
def held(node, seen):
    """The bytes of memory of all that is reached from here."""
    if id(node) in seen:
        return 0
    seen.add(id(node))
    parts = node if isinstance(node, list | tuple | deque) else ()
    if isinstance(node, dict):
        parts = [*node, *node.values()]
    elif is_dataclass(node):
        parts = vars(node).values()
    return sys.getsizeof(node) + sum(held(part, seen) for part in parts)


MANY = 3000
LONG = {
    "value": {"fields": [("a", "x" * 60_000)]},
    "wide": {"fields": [("a", "\U0001f600" * 60_000)]},
    "name": {"fields": [("x" * 60_000, "a")]},
    "file's name": {"fields": [("a", Upload("x" * 60_000, "image/jpeg", b""))]},
    "files": {"fields": [(f"file {at}", Upload(f"{at}.jpg", "a/b", b"")) for at in range(MANY)]},
    "fields": {"fields": [(f"field {at}", str(at)) for at in range(MANY)]},
    "query": {"query": [("a", "x" * 60_000)]},
    "query fields": {"query": [(f"field {at}", str(at)) for at in range(MANY)]},
    "text": {"text": b'{"a": "' + b"x" * 60_000 + b'"}'},
    "content type": {"content_type": "x" * 60_000},
    "path parameter": {"path": {"id": "x" * 60_000}},
    "header": {},
    "header's name": {},
    "path": {},
    "explanation": {},
}


@pytest.mark.parametrize("place", LONG)
def test_memory_is_bounded_whatever_is_long(place, monkeypatch):
    monkeypatch.setattr(journal_module, "TOTAL_BYTES", 1_000_000)
    kept = Journal()
    for number in range(100):

        def fresh(value, number=number):
            """The value as another request has it: nothing is shared."""
            if isinstance(value, str):
                return value + str(number)
            if isinstance(value, Upload):
                return replace(value, name=value.name + str(number))
            return tuple(fresh(part) for part in value)

        call = {"path": {}, "query": (), "headers": {}, **LONG[place]}
        for name in ("query", "fields"):
            call[name] = [fresh(pair) for pair in call.get(name, ())]
        note = Note(0.0, call=Call(**call))
        note.explanation = fresh("x" * 60_000) if place == "explanation" else None
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}
        environ |= {"HTTP_A": fresh("x" * 60_000)} if place == "header" else {}
        environ |= {fresh("HTTP_" + "X" * 60_000): ""} if place == "header's name" else {}
        environ |= {"PATH_INFO": fresh("/" + "x" * 60_000)} if place == "path" else {}
        kept.add(note, environ, None, 200, 0.0)
    assert 0 < held(kept._records, set()) < 1_000_000
    assert kept.entries()[-1].id == 100


def test_json_of_many_values_counts_as_what_it_is_once_it_is_parsed(monkeypatch):
    monkeypatch.setattr(journal_module, "TOTAL_BYTES", 1_000_000)
    kept = Journal()
    for _ in range(30):
        call = Call(path={}, query=(), headers={}, text=b"[" + b"[]," * 1500 + b"[]]")
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}
        kept.add(Note(0.0, call=call), environ, None, 200, 0.0)
    assert held([entry.body for entry in kept.entries()], set()) < 1_000_000
    call = Call(path={}, query=(), headers={}, text=b"[" + b"[]," * 3000 + b"[]]")
    kept.add(Note(0.0, call=call), environ, None, 200, 0.0)
    assert kept.entries()[-1].body is None


def test_entries_are_parsed_only_as_far_as_they_are_asked_for(api, monkeypatch):
    for _ in range(5):
        api.get("/tunes")
    read = []
    monkeypatch.setattr(journal_module, "_read", lambda *record: read.append(record) or entry)
    entry = journal_module.Entry(1, None, None, None, "GET", "/", {}, {}, None, 200, 0.0, (), None)
    assert len(list(islice(api.client.application.services.journal.newest(), 2))) == 2
    assert len(read) == 2


def test_unknown_path_is_compared_and_told_in_part(api):
    assert api.call("GET", "/" + "ab/c" * 5000).status_code == 404
    [entry] = journal(api)
    assert len(entry["explanation"]) < 500
    assert len(entry["path"]) <= 2000
