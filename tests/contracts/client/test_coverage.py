"""How much of the contract a run has seen."""

import pytest

from astria_contracts.client.coverage import NOT_ON_REQUEST, Coverage, Part
from astria_contracts.spec.document import JSON, URLENCODED, Document

ANSWER = {"content": {JSON: {"schema": {}}}}
CALLBACK = {"post": {"requestBody": {"content": {JSON: {"schema": {}}}}}}
BODY = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "size": {"type": "integer", "minimum": 1},
        "limit": {"type": "integer", "x-clamp": 10},
    },
}
DOCUMENT = Document(
    {
        "info": {"version": "1"},
        "security": [],
        "components": {},
        "paths": {
            "/things": {
                "post": {
                    "operationId": "create",
                    "requestBody": {
                        "content": {JSON: {"schema": BODY}, URLENCODED: {"schema": BODY}}
                    },
                    "responses": {"201": ANSWER, "422": ANSWER, "429": ANSWER},
                    "callbacks": {"made": {"{$request.body#/callback}": CALLBACK}},
                },
                "delete": {"operationId": "clear", "responses": {"200": {}, "204": {}}},
            }
        },
    }
)
CREATE = DOCUMENT.operations["create"]


@pytest.fixture
def coverage():
    return Coverage(DOCUMENT)


def record(coverage, status, body, **more):
    known = {"kind": JSON, "media_type": JSON, "path": {}, "query": {}, "headers": {}}
    coverage.record(CREATE, status, body=body, **{**known, **more})


def test_everything_of_the_contract_is_wanted(coverage):
    assert coverage.operations.expected == ["create", "clear"]
    assert coverage.statuses.expected == [
        *("create 201", "create 422", "create 429", "clear 200", "clear 204"),
    ]
    assert coverage.media_types.expected == [
        *(f"create {status} gives {JSON}" for status in (201, 422, 429)),
        *(f"create takes {kind}" for kind in (JSON, URLENCODED)),
    ]
    assert coverage.callbacks.expected == ["create made"]
    assert coverage.constraints.expected == [
        f"create body.{name}, {side}"
        for name in (
            *("name required", "name type", "size type", "size minimum"),
            *("limit type", "limit x-clamp"),
        )
        for side in ("within", "beyond")
    ]


def test_nothing_is_seen_before_anything_is_sent(coverage):
    assert {part.name: part.as_json()["seen"] for part in coverage.parts} == {
        "operations": 0,
        "statuses": 0,
        "media types": 0,
        "callbacks": 0,
        "constraint sides": 0,
    }


def test_status_that_no_request_brings_about_is_exempt_with_its_reason(coverage):
    assert coverage.statuses.exempt["create 429"] == NOT_ON_REQUEST[429]
    assert coverage.media_types.exempt[f"create 429 gives {JSON}"] == NOT_ON_REQUEST[429]


def test_status_is_exempt_where_the_contract_allows_another(coverage):
    assert coverage.statuses.exempt["clear 204"] == "the contract allows 200 or 204"


def test_taken_request_is_seen_with_all_that_it_keeps(coverage):
    record(coverage, 201, {"name": "x", "size": 1})
    assert coverage.operations.seen["create"] == 1
    assert coverage.statuses.seen["create 201"] == 1
    assert coverage.media_types.seen == {f"create 201 gives {JSON}": 1, f"create takes {JSON}": 1}
    assert +coverage.constraints.seen == {
        f"create body.{name}, within": 1
        for name in ("name required", "name type", "size type", "size minimum")
    }


def test_refused_request_is_seen_with_all_that_it_breaks(coverage):
    record(coverage, 422, {"size": 0})
    assert coverage.operations.missing == ["create", "clear"]
    assert f"create takes {JSON}" in coverage.media_types.missing
    assert +coverage.constraints.seen == {
        "create body.name required, beyond": 1,
        "create body.size minimum, beyond": 1,
    }


def test_request_that_should_have_been_refused_does_not_count(coverage):
    record(coverage, 201, {"name": "x", "size": 0})
    assert not coverage.constraints.seen["create body.size minimum, beyond"]
    assert not coverage.constraints.seen["create body.size minimum, within"]


def test_failing_server_shows_no_side(coverage):
    record(coverage, 500, {"name": "x", "size": 0})
    assert not +coverage.constraints.seen


def test_number_beyond_a_clamp_counts_where_it_is_taken(coverage):
    record(coverage, 201, {"name": "x", "limit": 11})
    assert coverage.constraints.seen["create body.limit x-clamp, beyond"] == 1


def test_callback_counts_once_it_is_received(coverage):
    coverage.record_callback("create", "made")
    assert coverage.callbacks.missing == []
    assert coverage.callbacks.share == 1.0


def test_summary_leaves_out_what_cannot_be_seen(coverage):
    record(coverage, 201, {"name": "x"})
    summary = {name: (seen, of, share) for name, seen, of, share in coverage.summary()}
    assert summary["operations"] == (1, 2, 0.5)
    assert summary["statuses"] == (1, 3, 0.333)


def test_part_says_what_is_missing_and_what_is_exempt():
    part = Part("x", expected=["a", "b", "c", "d"], exempt={"c": "why", "d": "why"})
    part.seen.update(["a", "d"])
    assert part.as_json() == {
        "total": 4,
        "seen": 2,
        "share": 0.666,  # of a, b and d
        "missing": ["b"],
        "exempt": {"c": "why"},
    }


def test_part_is_not_whole_while_anything_is_missing():
    part = Part("x", expected=[str(number) for number in range(10_000)])
    part.seen.update(part.expected[1:])
    assert part.share == 0.999
    part.seen.update(part.expected[:1])
    assert part.share == 1.0


def test_part_of_nothing_is_whole():
    assert Part("x").share == 1.0
