"""How a server of this API takes what it is sent."""

import pytest

from astria_contracts.spec.reading import Reader, is_blank

READER = Reader(
    {
        "components": {
            "schemas": {
                "Id": {"type": "integer", "minimum": 1},
                "Named": {
                    "allOf": [
                        {"type": "object", "properties": {"id": {"$ref": "#/components/x~1y"}}},
                        {"type": "object", "required": ["name"]},
                    ]
                },
            },
            "x/y": {"$ref": "#/components/schemas/Id"},
        }
    }
)
ID = {"$ref": "#/components/schemas/Id"}
NAMED = {"$ref": "#/components/schemas/Named"}


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        ({"type": "integer"}, "12", 12),
        ({"type": "integer"}, " -12 ", -12),
        ({"type": "integer"}, "12.0", 12),
        ({"type": "integer"}, "12.5", "12.5"),
        ({"type": "integer"}, "1e3", "1e3"),
        ({"type": "integer"}, "", ""),
        ({"type": "integer"}, "9" * 300, int("9" * 300)),
        ({"type": "integer"}, "9" * 5000, "9" * 5000),
        ({"type": "number"}, "7", 7),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, " Off ", False),
        ({"type": "boolean"}, 1, True),
        ({"type": "boolean"}, 0, False),
        ({"type": "boolean"}, 2, 2),
        ({"type": "boolean"}, "perhaps", "perhaps"),
        ({"type": "boolean"}, True, True),
        ({"type": "string"}, 12, "12"),
        ({"type": "string"}, True, True),
        ({"type": "string"}, None, None),
        ({"type": ["string", "null"]}, 1.5, "1.5"),
        ({"type": "array", "items": {"type": "integer"}}, ["1", " ", "x"], [1, "x"]),
        ({"type": "array"}, ["1", ""], ["1"]),
        ({"type": "array"}, "1", "1"),
        ({}, "12", "12"),
        (ID, "12", 12),
        (NAMED, {"id": "5", "name": 5}, {"id": 5, "name": 5}),
    ],
)
def test_value_is_read_as_its_schema_says(schema, value, read):
    found = READER.read(schema, value)
    assert (found, type(found)) == (read, type(read))


def test_blank_and_null_attributes_are_absent():
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in "abc"}}
    value = {"a": " ", "b": None, "c": "x", "unknown": ""}
    assert READER.read(schema, value) == {"c": "x", "unknown": ""}


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        (ID, "1", True),
        (ID, "0", False),
        (ID, "one", False),
        (NAMED, {"id": "7", "name": "x"}, True),
        (NAMED, {"id": "7"}, False),
        (NAMED, {"id": "-7", "name": "x"}, False),
        ({"type": "array", "minItems": 1}, ["  "], False),
    ],
)
def test_value_is_valid_as_it_is_read(schema, value, valid):
    assert READER.is_valid(schema, value) is valid


@pytest.mark.parametrize(
    ("value", "blank"),
    [("", True), (" \t\n", True), ("a", False), (None, False), (0, False), ([], False)],
)
def test_only_text_without_a_letter_is_blank(value, blank):
    assert is_blank(value) is blank
