"""Documents that a program has written: nothing is read as what it is not quite."""

from typing import Any

import pytest

from astria_emulator.spec.exact import Shapes
from astria_emulator.spec.openapi import Spec

PART = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "rate": {"type": ["number", "null"]},
        "name": {"type": "string", "enum": ["a", "b"]},
        "is_it": {"type": "boolean"},
    },
}
WHOLE = {
    "type": "object",
    "properties": {
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
        "ids": {"type": "array", "items": {"type": "integer"}},
        "by_name": {"type": "object", "additionalProperties": {"type": "string"}},
        "more": {"type": "object"},
        "any": {"type": ["object", "array", "string", "number", "boolean", "null"]},
    },
}
SHAPES = Shapes(Spec({"components": {"schemas": {"Part": PART, "Whole": WHOLE}}}))


def problems(value: Any, place: str = "") -> list[tuple[str, str]]:
    return list(SHAPES.problems("Whole", value, place))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"unknown": 1},
        {"parts": [{"id": 1, "rate": None}, {"id": 2, "rate": 0.5, "name": "b", "is_it": False}]},
        {"ids": [], "by_name": {"value": "a", "_schema": "b"}, "more": {"a": [1]}},
        *({"any": value} for value in (None, {}, {"a": None}, [], [[None]], "", 1, 1.5, True)),
    ],
)
def test_value_that_fits_has_no_problems(value: Any) -> None:
    assert problems(value) == []


@pytest.mark.parametrize(
    ("value", "place", "text"),
    [
        ([], "", "is not an object"),
        ({"parts": {}}, "parts", "is not an array"),
        ({"parts": None}, "parts", "is null: expected array"),
        ({"parts": [[]]}, "parts[0]", "is not an object"),
        ({"parts": [{"id": 1}, {}]}, "parts[1].id", "is missing"),
        ({"parts": [{"id": None}]}, "parts[0].id", "is null: expected integer"),
        ({"parts": [{"id": "1"}]}, "parts[0].id", "must be an integer (got a str)"),
        ({"parts": [{"id": 1.0}]}, "parts[0].id", "must be an integer (got a float)"),
        ({"parts": [{"id": True}]}, "parts[0].id", "must be an integer (got a bool)"),
        ({"parts": [{"id": 0}]}, "parts[0].id",
         "must be greater than or equal to 1 (got 0: minimum is 1)"),
        ({"parts": [{"id": 1, "rate": "1"}]}, "parts[0].rate", "is not a number (got a str)"),
        ({"parts": [{"id": 1, "is_it": 1}]}, "parts[0].is_it", "is not a boolean (got a int)"),
        ({"parts": [{"id": 1, "name": "c"}]}, "parts[0].name",
         "is not included in the list (got 'c': expected one of a, b)"),
        ({"ids": {"1": 1}}, "ids", "is not an array"),
        ({"ids": "1"}, "ids", "is not an array"),
        ({"ids": [1, None]}, "ids[1]", "is null: expected integer"),
        ({"by_name": []}, "by_name", "is not an object"),
        ({"by_name": {"a": 1}}, "by_name.a", "is not a string (got a int)"),
        ({"by_name": {"n" * 99: 1}}, f"by_name.{'n' * 40}", "is not a string (got a int)"),
        ({"more": []}, "more", "is not an object"),
    ],
)  # fmt: skip
def test_problem_has_its_place_and_what_would_do(value: Any, place: str, text: str) -> None:
    assert problems(value) == [(place, text)]


def test_places_are_within_the_one_that_is_given() -> None:
    assert problems({"ids": [""]}, "a.b")[0][0] == "a.b.ids[0]"


def test_all_problems_are_listed() -> None:
    found = problems({"parts": [{"id": 0}, {}, {"id": "x", "name": 1}], "ids": [[]]})
    assert [place for place, _ in found] == [
        "parts[0].id", "parts[1].id", "parts[2].id", "parts[2].name", "ids[0]",
    ]  # fmt: skip
