"""Checks of every answer: each rule with an answer that keeps it, and one that breaks it."""

import json

import pytest

from astria_contracts.client.checks import problems
from astria_contracts.spec.document import JSON, Document, Operation

ANY = {200: {JSON: {}}, 204: {}, 401: {"text/plain": {}}, 404: {JSON: {}}, 422: {JSON: {}}}
OPERATION = Operation("get", "GET", "/things", responses=ANY)
DOCUMENT = Document({"info": {"version": "1"}, "security": [], "paths": {}, "components": {}})
KIND = {"Content-Type": f"{JSON}; charset=utf-8"}


def problems_of(status, body, *, headers=KIND, operation=OPERATION):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(problems(DOCUMENT, operation, status, headers, content))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"id": 5}),
        (200, []),
        (404, {"status": 404, "error": "Not Found"}),
        (422, {"title": ["can't be blank"], "base": ["is wrong", "and late"]}),
    ],
)
def test_good_answer_has_no_problem(status, body):
    assert problems_of(status, body) == []


def test_status_must_be_documented():
    assert problems_of(418, {}) == ["status 418 is not among [200, 204, 401, 404, 422]"]


@pytest.mark.parametrize("kind", ["text/html", "", "application/problem+json"])
def test_content_type_must_be_documented(kind):
    assert problems_of(200, {}, headers={"Content-Type": kind}) == [
        f"content type {kind!r} is not among ['application/json']"
    ]


def test_answer_without_a_body_has_none():
    assert problems_of(204, b"", headers={}) == []
    assert problems_of(204, b"gone", headers={}) == ["has a body, and none is documented: 'gone'"]


def test_answer_that_is_no_json_is_only_looked_through():
    assert (
        problems_of(401, b"HTTP Token: Access denied.\n", headers={"Content-Type": "text/plain"})
        == []
    )


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b"[Infinity]"])
def test_body_must_be_json(body):
    assert problems_of(200, body) == [f"is no JSON: {body.decode()!r}"]


def test_body_must_be_utf_8():
    assert problems_of(200, '{"a": "ä"}'.encode()) == []
    assert problems_of(200, '{"a": "ä"}'.encode("latin-1")) == ["is not UTF-8: b'\\xe4' at 7"]


def test_body_must_fit_its_schema():
    schema = {"type": "object", "required": ["id"], "properties": {"at": {"format": "date-time"}}}
    operation = Operation("get", "GET", "/", responses={200: {JSON: schema}})
    assert problems_of(200, {"id": 1, "at": "2026-01-01T00:00:00Z"}, operation=operation) == []
    found = problems_of(200, {"at": "yesterday"}, operation=operation)
    assert sorted(one.partition(":")[0] for one in found) == ["", "at"]


@pytest.mark.parametrize(
    "text",
    [
        'Traceback (most recent call last): File "/app/x.py", line 5',
        "in /app/lib/site-packages/x.py",
        "werkzeug.exceptions.BadRequest",
        "sqlalchemy.exc.OperationalError",
        "psycopg.OperationalError",
        "sqlite3.OperationalError",
        "ActiveRecord::RecordNotFound",
        "/usr/lib/ruby/x.rb",
        "/home/app/x.rb",
        "<Thing object at 0x7f2bcf3cf9f0>",
        "<!doctype html>",
        "<HTML><body>",
    ],
)
def test_answer_shows_nothing_from_within(text):
    found = problems_of(404, {"status": 404, "error": text})
    assert len(found) == 1
    assert found[0].startswith("shows what is within the server: ")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": "Not Found"}),
        (404, {"status": 400, "error": "Not Found"}),
        (404, {"status": 404}),
        (404, {"status": 404, "error": ""}),
        (404, ["Not Found"]),
        (404, "Not Found"),
        (422, {}),
        (422, {"title": "can't be blank"}),
        (422, {"title": []}),
        (422, {"title": ["can't be blank"], "status": 422}),
        (422, ["can't be blank"]),
    ],
)
def test_error_is_told_as_rails_tells_it(status, body):
    assert len(problems_of(status, body)) == 1


@pytest.mark.parametrize("ids", [[1, 2], [2, 2], [3, 1, 2]])
def test_list_is_newest_first_and_shows_nothing_twice(ids):
    assert problems_of(200, [{"id": id} for id in ids]) == [f"ids do not descend: {ids}"]


def test_list_that_descends_is_fine():
    assert problems_of(200, [{"id": 9}, {"id": 5}, {"title": "without"}, {"id": 1}]) == []


AT = [f"2026-01-01T00:00:0{second}.000Z" for second in range(5)]


def test_times_of_an_object_follow_each_other():
    order = ("created_at", "started_training_at", "trained_at", "expires_at")
    assert problems_of(200, dict(zip(order, AT, strict=False))) == []
    assert problems_of(200, {**dict.fromkeys(order, AT[1]), "updated_at": AT[1]}) == []
    assert problems_of(
        200, {"created_at": AT[1], "started_training_at": None, "trained_at": AT[0]}
    ) == [f"created_at {AT[1]} is after trained_at {AT[0]}"]


def test_change_is_not_before_the_making():
    assert problems_of(200, {"created_at": AT[0], "updated_at": AT[1]}) == []
    assert problems_of(200, {"created_at": AT[1], "updated_at": AT[0]}) == [
        f"updated_at {AT[0]} is before created_at {AT[1]}"
    ]


def test_pictures_come_at_the_end():
    assert problems_of(200, {"images": [], "trained_at": None}) == []
    assert problems_of(200, {"images": ["x"], "trained_at": AT[0]}) == []
    assert problems_of(200, {"images": ["x"], "trained_at": None}) == [
        "has pictures before it has ended"
    ]


def test_error_and_pictures_exclude_each_other():
    ended = {"trained_at": AT[0], "user_error": "no face"}
    assert problems_of(200, {**ended, "images": []}) == []
    assert problems_of(200, {**ended, "images": ["x"]}) == [
        "has pictures, and an error that says why there are none"
    ]


def test_items_of_a_list_are_looked_at_like_objects():
    assert problems_of(200, [{"images": ["x"], "trained_at": None}, 5]) == [
        "has pictures before it has ended"
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"created_at": None, "updated_at": AT[0]},
        {"created_at": 5, "trained_at": AT[0]},
        {"updated_at": 5, "created_at": AT[0]},
        [{"id": None}, {"id": "x"}, {"id": 3}],
        [{"id": [1]}, {"id": {}}],
    ],
)
def test_odd_answer_is_left_to_its_schema(body):
    assert problems_of(200, body) == []
