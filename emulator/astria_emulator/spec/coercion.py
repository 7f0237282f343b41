"""Convert text to the types of a schema where nothing is lost. JSON is coerced the same way."""

import json
import re
from collections.abc import Callable
from typing import Any

from astria_emulator.errors import BadRequest
from astria_emulator.spec.fields import SPACE, STRICT, allows_null, types_of
from astria_emulator.spec.openapi import Node, Spec

TRUE, FALSE = (
    frozenset({"true", "t", "1", "on", "yes"}),
    frozenset({"false", "f", "0", "off", "no"}),
)
INTEGER = re.compile(r"[+-]?\d{1,300}(\.0+)?", re.ASCII)
BLANKS = re.compile(f"[{SPACE}]*")
INDEX = re.compile(r"\d{1,9}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
MOST_IN_TEXT = 10_000  # values of JSON in one field's text
Coerce = Callable[[Any], Any]


def compile_coercion(spec: Spec, schema: Node) -> Coerce:
    """Return a function that converts text to a schema's types where nothing is lost.

    It drops blanks, and leaves unchanged what it cannot convert: the strict check refuses that.
    """
    resolved = spec.resolve(schema)
    kinds = types_of(resolved)
    if kinds == ("object",):
        coerce = _object(spec, resolved)
        return _nullable(coerce) if reads_null(resolved) else coerce
    if kinds == ("array",):
        return _array(compile_coercion(spec, resolved["items"]))
    if resolved.get("format") == "binary":
        return lambda value: value
    scalars = {"string": _string, "integer": _integer, "number": _number, "boolean": _boolean}
    coerce = scalars[kinds[0]] if len(kinds) == 1 else (lambda value: value)
    if "x-clamp" in resolved:
        coerce = _clamped(coerce, resolved["x-clamp"])
    return _nullable(coerce) if reads_null(resolved) else coerce


def is_blank(value: Any) -> bool:
    return isinstance(value, str) and BLANKS.fullmatch(value) is not None


def reads_null(schema: Node) -> bool:
    """Whether the text `null` stands for null: where it is allowed, and is no free text."""
    is_free_text = "string" in types_of(schema) and not {"enum", "pattern"} & schema.keys()
    return allows_null(schema) and not is_free_text


def _nullable(coerce: Coerce) -> Coerce:
    return lambda value: None if value == "null" else coerce(value)


def _object(spec: Spec, schema: Node) -> Coerce:
    properties: dict[str, Coerce] = {}
    lists: set[str] = set()
    defaults: set[str] = set()
    for part in spec.object_parts(schema):
        for key, child in part.get("properties", {}).items():
            properties[key] = compile_coercion(spec, child)
            resolved = spec.resolve(child)
            lists |= {key} if resolved.get("minItems") else set()
            defaults |= {key} if "default" in resolved else set()
    extra = schema.get("additionalProperties")
    keeps = bool(schema.get(STRICT))  # keeps unknown names, for the strict check to refuse

    def coerce(value: Any) -> Any:
        value = read_json_text(value, dict)
        if not isinstance(value, dict):
            return value
        if extra:
            return value
        coerced = {}
        for key, item in value.items():
            if keeps and key not in properties:
                coerced[key] = item
            if key not in properties or is_blank(item) or (item is None and key in defaults):
                continue
            item = properties[key](item)
            if not (item == [] and key in lists):
                coerced[key] = item
        return coerced

    return coerce


def _array(inner: Coerce) -> Coerce:
    def coerce(value: Any) -> Any:
        value = read_json_text(value, list)
        if isinstance(value, dict) and value and all(INDEX.fullmatch(key) for key in value):
            value = [value[key] for key in sorted(value, key=int)]
        if not isinstance(value, list):
            return value
        return [inner(item) for item in value if not is_blank(item)]

    return coerce


def read_json_text(value: Any, kind: type) -> Any:
    """Parse an object or list that is sent as JSON text in one field; the command line does so."""
    if not isinstance(value, str):
        return value
    if count_values(value) > MOST_IN_TEXT:
        return value
    try:
        parsed = json.loads(value)
        check_text(value, parsed)
    except (ValueError, RecursionError):
        return value
    return parsed if isinstance(parsed, kind) else value


def count_values(text: str | bytes) -> int:
    """Count the values of JSON, or more: those within its texts as well.

    It tells in no time what takes long to parse, and a hundred times the memory of its text.
    """
    if isinstance(text, str):
        return text.count("[") + text.count("{") + text.count(",")
    return text.count(b"[") + text.count(b"{") + text.count(b",")


def check_text(text: str | bytes, parsed: Any) -> None:
    """Refuse half of a surrogate pair, which JSON can spell and UTF-8 cannot.

    Raises ValueError.
    """
    if ("\\ud" if isinstance(text, str) else b"\\ud") in text.lower():  # type: ignore[operator]
        json.dumps(parsed, ensure_ascii=False).encode()


def refuse_null_characters(value: Any) -> None:
    """Refuse text that PostgreSQL, and so Rails, cannot store.

    Raises BadRequest.
    """
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack += node
            stack += node.values()
        elif isinstance(node, list):
            stack += node
        elif isinstance(node, str) and "\0" in node:
            raise BadRequest("text holds a null character")


def _string(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _integer(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and INTEGER.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    return value


def _number(value: Any) -> Any:
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return value
    return _integer(value) if INTEGER.fullmatch(value.strip()) else float(value)


def _boolean(value: Any) -> Any:
    text = str(value).strip().lower() if isinstance(value, str) or value in (0, 1) else ""
    return True if text in TRUE else False if text in FALSE else value


def _clamped(coerce: Coerce, highest: int) -> Coerce:
    def clamp(value: Any) -> Any:
        value = coerce(value)
        return (
            min(value, highest) if isinstance(value, int) and not isinstance(value, bool) else value
        )

    return clamp
