"""Boundary values on both sides of each constraint, and strategies for valid values."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from astria_contracts.spec.document import Document, Schema
from astria_contracts.spec.encoding import NOTHING, picture
from astria_contracts.spec.sides import BLANK, Constraint, types_of

DATA_URL = "data:image/png;base64," + base64.b64encode(picture().content).decode()
# Pattern -> a text that fits, and one that does not.
PATTERNS: Mapping[str, tuple[str, str]] = {
    "^https?://[!-~]+$": ("https://example.com/a?b=c&d=%20e", "ftp://example.com/a"),
    BLANK: ("a b", " \t"),
    "^[A-Za-z0-9_-]+$": ("corporate-headshots", "a b"),
    "^([1-9][0-9]{0,17}|all|personal)?$": ("all", "everything"),
}
WRONG_TYPE: Mapping[str, Any] = {
    "integer": "many",
    "number": "much",
    "boolean": "perhaps",
    "string": {"a": {"b": "c"}},
    "array": {"a": {"b": "c"}},
    "object": [["a"]],
}
LETTERS = st.sampled_from("abcxyzABC 0189äß漢😀.,'\"&=[]{}<>%+\\")
WORDS = st.text(LETTERS, min_size=1, max_size=20).filter(str.strip)  # a blank text counts as absent


def pattern_of(schema: Schema) -> tuple[str, str]:
    """A text that fits a schema's pattern, and one that does not."""
    pattern = schema["pattern"]
    return (DATA_URL, "data:,no") if "base64" in pattern else PATTERNS[pattern]


def sample(schema: Schema) -> Any:
    """A value that is valid by a flat schema."""
    kinds = types_of(schema)
    if schema.get("format") == "binary":
        return picture()
    if "enum" in schema:
        return schema["enum"][0]
    if "pattern" in schema:
        return pattern_of(schema)[0]
    if kinds & {"integer", "number"}:
        return schema.get("minimum", 1)
    if "boolean" in kinds:
        return True
    if "array" in kinds:
        items = schema["items"]
        return [sample(items)] if types_of(items) - {"object"} else [{"text": "a text"}]
    if "object" in kinds and "string" not in kinds:
        return {}
    return "a text"


def long_text(schema: Schema, length: int) -> str:
    """A text of so many characters that fits a schema's pattern."""
    text: str = pattern_of(schema)[0] if "pattern" in schema else "a"
    return text.ljust(length, "a")


def named(count: int) -> dict[str, str]:
    """An object with so many names."""
    return {f"name {number}": "a" for number in range(count)}


def within(document: Document, constraint: Constraint) -> Iterator[Any]:
    """Values that satisfy a constraint, at its boundary."""
    schema = _resolved(document, constraint.schema)
    match constraint.keyword:
        case "enum":
            yield from (value for value in schema["enum"] if value is not None)
        case "minimum" | "maximum" | "x-clamp" as keyword:
            yield schema[keyword]
        case "minItems":
            yield [sample(schema["items"])] * schema["minItems"]
        case "maxItems":
            yield [sample(schema["items"])] * schema["maxItems"]
        case "maxLength":
            yield long_text(schema, schema["maxLength"])
        case "maxProperties":
            yield named(schema["maxProperties"])
        case "multipleOf":
            yield schema["minimum"] + schema["multipleOf"]
        case _:
            yield sample(schema)


def beyond(document: Document, constraint: Constraint) -> Iterator[Any]:
    """Values that violate a constraint and, where possible, no other of the same field."""
    schema = _resolved(document, constraint.schema)
    step = schema.get("multipleOf", 1)
    match constraint.keyword:
        case "enum":
            yield 77 if types_of(schema) == {"integer"} else "no such value"
        case "minimum":
            yield schema["minimum"] - step
        case "maximum":
            yield schema["maximum"] + step
        case "x-clamp":
            yield schema["x-clamp"] + 1
        case "multipleOf":
            yield schema["minimum"] + 1
        case "pattern":
            yield pattern_of(schema)[1]
        case "minItems":
            yield []
        case "maxItems":
            yield [sample(schema["items"])] * (schema["maxItems"] + 1)
        case "maxLength":
            yield long_text(schema, schema["maxLength"] + 1)
        case "maxProperties":
            yield named(schema["maxProperties"] + 1)
        case "required":
            yield NOTHING
        case "type" if schema.get("format") == "binary":
            yield "no file"
        case "type":
            kinds = types_of(schema)
            text = kinds - {"string"} if len(kinds) > 1 else kinds
            yield WRONG_TYPE["object" if kinds >= {"string", "number"} else sorted(text)[0]]


def _resolved(document: Document, schema: Schema) -> dict[str, Any]:
    """A flat schema whose items are flat as well."""
    flat = document.flat(schema)
    return {**flat, "items": document.flat(flat["items"])} if "items" in flat else flat


def strategy_of(document: Document, schema: Schema) -> st.SearchStrategy[Any]:
    """A strategy for values that satisfy every constraint of a schema; never null."""
    flat = _resolved(document, schema)
    kinds = types_of(flat)
    if "enum" in flat:
        return st.sampled_from([value for value in flat["enum"] if value is not None])
    if "pattern" in flat:
        return WORDS if flat["pattern"] == BLANK else st.just(pattern_of(flat)[0])
    if "integer" in kinds:
        step = flat.get("multipleOf", 1)
        largest = flat.get("x-clamp", 2**31 - 1)
        low, high = flat.get("minimum", 0), flat.get("maximum", largest)
        return st.integers(low // step, high // step).map(lambda number: number * step)
    if "boolean" in kinds and "string" not in kinds:
        return st.booleans()
    if "number" in kinds and "string" not in kinds:
        low, high = flat.get("minimum", 0), flat.get("maximum", 100)
        return st.integers(low * 10, high * 10).map(lambda tenths: tenths / 10)
    if "array" in kinds:
        return st.lists(strategy_of(document, flat["items"]), min_size=1, max_size=3)
    if "object" in kinds and "string" not in kinds:
        return st.dictionaries(st.sampled_from(("eye_color", "age", "a b")), WORDS, max_size=2)
    return WORDS
