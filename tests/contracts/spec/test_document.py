"""The contract as the suite reads it."""

from pathlib import Path

import pytest

from astria_contracts.spec import document
from astria_contracts.spec.document import (
    METHODS,
    Document,
    Operation,
    contract_path,
    read_document,
)

DOCUMENT = read_document()
SMALL = {
    "info": {"version": "1"},
    "security": [{"bearer": []}],
    "paths": {
        "/things/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "x-aliases": ["/t/{id}"],
            "get": {
                "operationId": "get_thing",
                "security": [],
                "parameters": [{"name": "deep", "in": "query", "schema": {"type": "boolean"}}],
                "responses": {"200": {"$ref": "#/components/responses/Thing"}, "204": {}},
            },
        },
        "/things/new": {"get": {"operationId": "new_thing", "responses": {"200": {}}}},
    },
    "components": {
        "parameters": {"Id": {"name": "id", "in": "path", "schema": {"type": "integer"}}},
        "responses": {
            "Thing": {"content": {"application/json": {"schema": {"type": "object"}}}},
        },
        "schemas": {
            "Base": {"type": "object", "required": ["a"], "properties": {"a": {"minimum": 1}}},
            "More": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {"required": ["b", "a"], "properties": {"b": {"minimum": 2}}},
                ],
                "description": "both",
            },
            "a/b": {"type": "string", "title": "odd"},
        },
    },
}
THINGS = Document(SMALL)


def test_document_has_every_operation_of_the_contract():
    ids = {
        item[method]["operationId"]
        for item in DOCUMENT.raw["paths"].values()
        for method in METHODS
        if method in item
    }
    assert DOCUMENT.operations.keys() == ids
    assert DOCUMENT.version == DOCUMENT.raw["info"]["version"]


@pytest.mark.parametrize(
    ("method", "path", "id", "values"),
    [
        ("GET", "/things/7", "get_thing", {"id": "7"}),
        ("GET", "/things/7.json", "get_thing", {"id": "7"}),
        ("GET", "/things/7/", "get_thing", {"id": "7"}),
        ("GET", "/things/7.json?deep=true", "get_thing", {"id": "7"}),
        ("GET", "/t/a-b", "get_thing", {"id": "a-b"}),
        ("GET", "/things/new", "new_thing", {}),
    ],
)
def test_operation_is_found_by_its_path(method, path, id, values):
    operation, found = THINGS.find(method, path)
    assert (operation.id, found) == (id, values)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/things/7"), ("GET", "/things"), ("GET", "/things/7/8"), ("get", "/things/7")],
)
def test_operation_is_not_found_where_there_is_none(method, path):
    assert THINGS.find(method, path) is None


def test_every_path_of_the_contract_leads_to_its_operation():
    for operation in DOCUMENT.operations.values():
        for path in (operation.path, *operation.aliases):
            found = DOCUMENT.find(operation.method, path.replace("{", "").replace("}", ""))
            assert found
            assert found[0] is operation


def test_operation_has_the_parameters_of_its_path_and_its_own():
    operation = THINGS.operations["get_thing"]
    assert [one["name"] for one in operation.parameters] == ["id", "deep"]


def test_operation_needs_a_key_unless_it_says_that_it_does_not():
    assert not THINGS.operations["get_thing"].needs_key
    assert THINGS.operations["new_thing"].needs_key


def test_operation_has_a_schema_for_each_status_and_media_type():
    assert THINGS.operations["get_thing"].responses == {
        200: {"application/json": {"type": "object"}},
        204: {},
    }


def test_operation_of_the_contract_has_body_wrapper_example_and_callbacks():
    operation = DOCUMENT.operations["create_tune"]
    assert (operation.method, operation.path, operation.wrapper) == ("POST", "/tunes", "tune")
    assert operation.body_required
    assert set(operation.bodies) == {
        *("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    }
    assert operation.example["tune"]["title"]
    assert set(operation.callbacks) == {"tune_trained", "prompt_finished"}
    assert str(operation) == "POST /tunes"


def test_reference_is_followed_and_keys_beside_it_win():
    found = THINGS.resolve({"$ref": "#/components/schemas/a~1b", "title": "mine"})
    assert found == {"type": "string", "title": "mine"}


def test_flat_schema_joins_its_parts():
    assert THINGS.flat({"$ref": "#/components/schemas/More"}) == {
        "type": "object",
        "description": "both",
        "properties": {"a": {"minimum": 1}, "b": {"minimum": 2}},
        "required": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("schema", "value", "places"),
    [
        ({"$ref": "#/components/schemas/Base"}, {"a": 1}, []),
        ({"$ref": "#/components/schemas/Base"}, {"a": 0}, ["a"]),
        ({"items": {"properties": {"n": {"type": "string"}}}}, [{"n": "x"}, {"n": 5}], ["1.n"]),
        ({"format": "date-time"}, "2026-01-01T00:00:00Z", []),
        ({"format": "date-time"}, "yesterday", [""]),
        ({"type": "string"}, None, [""]),
    ],
)
def test_problems_are_told_with_their_places(schema, value, places):
    assert [one.partition(":")[0] for one in THINGS.problems(schema, value)] == places


def test_values_of_a_path_are_none_for_another_path():
    operation = Operation("x", "GET", "/a/{one}/b/{two}")
    assert operation.values("/a/1/b/2") == {"one": "1", "two": "2"}
    assert operation.values("/a/1/b/2/c") is None


def test_installed_contract_is_that_of_the_emulator(tmp_path, monkeypatch):
    monkeypatch.setattr(
        document, "__file__", str(tmp_path / "site" / "astria_contracts" / "spec" / "document.py")
    )
    assert contract_path() == tmp_path / "site" / "astria_emulator" / "openapi.yaml"
    (tmp_path / "openapi.yaml").touch()
    assert contract_path() == tmp_path / "openapi.yaml"


def test_contract_of_the_checkout_is_read():
    assert contract_path() == Path(__file__).parents[3] / "openapi.yaml"
