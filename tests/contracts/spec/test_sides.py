"""On which side of each constraint a request is."""

from collections import Counter

import pytest

from astria_contracts.spec.document import (
    JSON,
    MULTIPART,
    URLENCODED,
    Document,
    Operation,
    read_document,
)
from astria_contracts.spec.encoding import File
from astria_contracts.spec.sides import (
    ANY_KEY,
    BLANK,
    ITEM,
    MISSING,
    Sides,
    is_of,
    types_of,
    values_at,
)

DOCUMENT = read_document()
NO_PATHS = {"info": {"version": "1"}, "security": [], "paths": {}, "components": {}}


def sides_of(operation):
    """The constraints of an operation that no document has."""
    document = Document(NO_PATHS)
    document.operations = {operation.id: operation}
    return Sides(document)


def of_field(schema, *, required=False, media_type=JSON):
    """The constraints of one field, named f, of a body."""
    body = {"type": "object", "properties": {"f": schema}, "required": ["f"] if required else []}
    return Operation("op", "POST", "/things", bodies={media_type: body})


def found(operation, **request):
    """For each constraint that a request touches, whether it is within it."""
    whole = {"path": {}, "query": {}, "headers": {}, "body": {}, **request}
    touched = sides_of(operation).of_request(operation, **whole)
    return [(constraint.label, within) for constraint, within in touched]


@pytest.mark.parametrize(
    ("schema", "within", "beyond"),
    [
        ({"enum": ["a", None]}, "a", "b"),
        ({"type": "integer", "minimum": 2}, 2, 1),
        ({"type": "integer", "minimum": 2}, "2", "1"),
        ({"type": "number", "maximum": 2}, 2, 2.5),
        ({"type": "integer", "multipleOf": 8}, 16, 12),
        ({"type": "string", "pattern": "^https?:"}, "http://x", "ftp://x"),
        ({"type": "array", "minItems": 1}, ["a"], []),
        ({"type": "array", "maxItems": 1}, ["a"], ["a", "b"]),
        ({"type": "string", "maxLength": 1}, "a", "ab"),
        ({"type": "object", "maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({"type": "integer", "x-clamp": 10}, 10, 11),
    ],
)
def test_value_is_within_a_limit_or_beyond_it(schema, within, beyond):
    keyword = [key for key in schema if key != "type"][-1]
    label = f"body.f {keyword}"
    assert (label, True) in found(of_field(schema), body={"f": within})
    assert (label, False) in found(of_field(schema), body={"f": beyond})


@pytest.mark.parametrize(
    ("kind", "within", "beyond"),
    [
        ("integer", "12", "x"),
        ("integer", 12.0, 1.5),
        ("integer", 3, True),
        ("number", 1.5, "1,5"),
        ("boolean", "off", "perhaps"),
        ("boolean", 1, 2),
        ("string", 5, ["x"]),
        ("string", "x", True),
        ("array", [], "x"),
        ("object", {}, []),
        (["integer", "null"], 1, "x"),
    ],
)
def test_type_is_that_of_the_value_as_it_is_read(kind, within, beyond):
    operation = of_field({"type": kind})
    assert found(operation, body={"f": within}) == [("body.f type", True)]
    assert found(operation, body={"f": beyond}) == [("body.f type", False)]


def test_file_must_be_one():
    operation = of_field({"type": "string", "format": "binary"}, media_type=MULTIPART)
    assert found(operation, body={"f": File("1.png", b"x")}) == [("body.f type", True)]
    assert found(operation, body={"f": "no file"}) == [("body.f type", False)]


@pytest.mark.parametrize(
    ("value", "within"), [("a", True), ("", False), (" ", False), (None, False), ([], False)]
)
def test_required_field_must_be_there_and_not_blank(value, within):
    touched = found(of_field({}, required=True), body={"f": value})
    assert touched == [("body.f required", within)]


def test_required_field_is_missed_only_in_an_object_that_is_there():
    inner = {"type": "object", "properties": {"g": {}}, "required": ["g"]}
    operation = of_field(inner)
    assert found(operation, body={"f": {}}) == [("body.f type", True), ("body.f.g required", False)]
    assert found(operation, body={}) == []


def test_absent_and_null_values_say_nothing():
    operation = of_field({"type": "integer", "minimum": 1})
    assert found(operation, body={"f": None}) == []
    assert found(operation, body={}) == []


def test_value_of_a_wrong_type_says_nothing_of_other_limits():
    operation = of_field({"type": "integer", "minimum": 5, "enum": [5, 6]})
    assert found(operation, body={"f": "many"}) == [("body.f type", False)]


def test_parameters_are_looked_for_where_they_are_sent():
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 5}},
        {"name": "X-Id", "in": "header", "required": True, "schema": {"type": "string"}},
    ]
    operation = Operation("op", "GET", "/things/{id}", parameters=tuple(parameters))
    touched = found(operation, path={"id": "7"}, query={"limit": "9"}, headers={})
    assert touched == [
        ("path.id type", True),
        ("query.limit type", True),
        ("query.limit maximum", False),
        ("header.X-Id required", False),
    ]


def test_single_query_value_is_a_list_of_one():
    schema = {"type": "array", "items": {"type": "string", "enum": ["a"]}}
    parameter = {"name": "kinds[]", "in": "query", "schema": schema}
    operation = Operation("op", "GET", "/things", parameters=(parameter,))
    assert ("query.kinds[] type", True) in found(operation, query={"kinds[]": "a"})
    assert ("query.kinds[].[] enum", False) in found(operation, query={"kinds[]": ["a", "b"]})


def test_every_item_and_every_value_is_looked_at():
    items = of_field({"type": "array", "items": {"type": "integer"}})
    touched = found(items, body={"f": [1, "x"]})
    assert touched == [("body.f type", True), ("body.f.[] type", True), ("body.f.[] type", False)]
    values = of_field({"type": "object", "additionalProperties": {"type": "string"}})
    assert ("body.f.* type", False) in found(values, body={"f": {"eye_color": ["x"]}})


def test_body_without_its_wrapper_counts_as_wrapped():
    inner = {"type": "object", "properties": {"steps": {"type": "integer"}}}
    body = {"type": "object", "properties": {"tune": inner}}
    operation = Operation("op", "POST", "/tunes", wrapper="tune", bodies={JSON: body})
    assert ("body.tune.steps type", True) in found(operation, body={"steps": 5})
    assert ("body.tune.steps type", True) in found(operation, body={"tune": {"steps": 5}})
    assert found(operation, body={}) == []


@pytest.mark.parametrize(
    ("operation", "label"),
    [
        (of_field({"type": "string", "pattern": BLANK}), "body.f pattern"),
        (of_field({"type": "array", "minItems": 1}, media_type=URLENCODED), "body.f minItems"),
        (
            Operation(
                *("op", "GET", "/"),
                parameters=({"name": "q", "in": "query", "schema": {"type": "string"}},),
            ),
            "query.q type",
        ),
    ],
)
def test_constraint_that_nothing_sent_can_break_says_why(operation, label):
    reasons = {one.label: one.one_sided for one in sides_of(operation).of["op"]}
    assert reasons[label]


def test_constraint_that_can_be_broken_has_no_excuse():
    operation = of_field({"type": "string", "pattern": BLANK}, required=True)
    assert [one.one_sided for one in sides_of(operation).of["op"]] == ["", "", ""]


def test_field_of_all_encodings_is_counted_once_and_sent_as_json():
    body = {"type": "object", "properties": {"f": {"type": "integer"}}}
    form = {"type": "object", "properties": {"f": {"type": "integer"}, "g": {"type": "string"}}}
    operation = Operation("op", "POST", "/", bodies={MULTIPART: form, JSON: body})
    touched = [(one.label, one.media_type) for one in sides_of(operation).of["op"]]
    assert touched == [("body.f type", JSON), ("body.g type", MULTIPART)]


def test_every_constraint_of_the_contract_has_a_name_of_its_own():
    every = Counter(
        (id, one.label) for id, constraints in Sides(DOCUMENT).of.items() for one in constraints
    )
    assert len(every) > 500
    assert [name for name, count in every.items() if count > 1] == []


@pytest.mark.parametrize(
    ("sent", "place", "values"),
    [
        ({"a": 1}, ("a",), [1]),
        ({"a": 1}, ("b",), [MISSING]),
        ({"a": {}}, ("a", "b"), [MISSING]),
        ({}, ("a", "b"), []),
        ({"a": [{"b": 1}, {"b": 2}]}, ("a", ITEM, "b"), [1, 2]),
        ({"a": "x"}, ("a", ITEM), []),
        ({"a": {"x": 1, "y": 2}}, ("a", ANY_KEY), [1, 2]),
        ("x", ("a",), []),
    ],
)
def test_values_at_a_place_are_found(sent, place, values):
    assert list(values_at(sent, place, True)) == values


def test_missing_value_is_left_out_unless_it_is_wanted():
    assert list(values_at({}, ("a",), False)) == []


def test_types_leave_null_out():
    assert types_of({"type": ["string", "null"]}) == {"string"}
    assert types_of({"type": "null"}) == set()
    assert types_of({}) == set()


def test_boolean_is_no_number():
    assert not is_of("integer", True)
    assert not is_of("number", False)
    assert is_of("boolean", False)
