"""Rack-style fields -> nested data -> the schema's types. JSON passes the same, lossless coercion.

Bracket rules as Rack's `parse_nested_query` has them: `a[b]` is a key, `a[]` adds to a list,
`a[][b]` begins a new element of the list when the last one has `b` already, and `a[0]`, `a[1]` are
the elements of a list where the schema says list (Rack keeps them as keys, Rails reads them as
elements).
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from astria_emulator.errors import BadRequest
from astria_emulator.spec.fields import SPACE, STRICT, allows_null, types_of
from astria_emulator.spec.openapi import Node, Spec

MAX_DEPTH = 32  # Rack's own limit is 32 levels of brackets.
TRUE, FALSE = (
    frozenset({"true", "t", "1", "on", "yes"}),
    frozenset({"false", "f", "0", "off", "no"}),
)
INTEGER = re.compile(r"[+-]?\d{1,300}(\.0+)?", re.ASCII)
BLANKS = re.compile(f"[{SPACE}]+")
INDEX = re.compile(r"\d{1,9}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_PIECE = re.compile(r"\[([^\[\]]*)\]")

Coerce = Callable[[Any], Any]


def split_name(name: str) -> list[str]:
    """`tune[images][]` -> `["tune", "images", ""]`; what is no bracket syntax is one plain key."""
    start = name.find("[")
    if start <= 0:
        return [name]
    pieces = _PIECE.findall(name, start)
    return (
        [name[:start], *pieces]
        if name[start:] == "".join(f"[{piece}]" for piece in pieces)
        else [name]
    )


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Build nested data from form fields in the order they were sent.

    Raises BadRequest where one name is used as two things, or nests too deep.
    """
    root: dict[str, Any] = {}
    for name, value in pairs:
        steps = split_name(name)
        if len(steps) > MAX_DEPTH:
            raise BadRequest(f"form field nests deeper than {MAX_DEPTH} levels")
        _store(root, steps, value, name)
    return root


def _store(node: dict[str, Any], steps: list[str], value: Any, name: str) -> None:
    key, rest = steps[0], steps[1:]
    while rest:
        if rest[0] == "":
            items = _expect(node.setdefault(key, []), list, name)
            rest = rest[1:]
            if not rest:
                items.append(value)
                return
            # `[][key]`: a new element begins where the last one has the key already.
            if not items or not isinstance(items[-1], dict) or _has(items[-1], rest):
                items.append({})
            node = items[-1]
        else:
            node = _expect(node.setdefault(key, {}), dict, name)
        key, rest = rest[0], rest[1:]
    node[key] = value


def _has(element: dict[str, Any], steps: list[str]) -> bool:
    """Whether a field would replace a value; another `key[]` only lengthens its list."""
    node: Any = element
    for step in steps:
        if step == "" or not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


def _expect(node: Any, kind: type, name: str) -> Any:
    if not isinstance(node, kind):
        raise BadRequest(f"form field {name[:80]!r} is sent as two kinds of thing")
    return node


def compile_coercion(spec: Spec, schema: Node) -> Coerce:
    """A function that reads text as a schema's types, wherever nothing is lost, and drops blanks.

    What it cannot read it leaves as it is, for the strict check to refuse.
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
    return isinstance(value, str) and not BLANKS.sub("", value)


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
    keeps = bool(schema.get(STRICT))  # what is not known, for the strict check to refuse

    def coerce(value: Any) -> Any:
        value = read_json_text(value, dict)
        if not isinstance(value, dict):
            return value
        if extra:
            return value
        found = {}
        for key, item in value.items():
            if keeps and key not in properties:
                found[key] = item
            if key not in properties or is_blank(item) or (item is None and key in defaults):
                continue
            item = properties[key](item)
            if not (item == [] and key in lists):
                found[key] = item
        return found

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
    """An object or list sent as JSON text in one field; the command line does so."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
        check_text(value, found)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, kind) else value


def check_text(text: str | bytes, found: Any) -> None:
    """Refuse half of a surrogate pair, which JSON can spell and UTF-8 cannot.

    Raises ValueError.
    """
    if ("\\ud" if isinstance(text, str) else b"\\ud") in text.lower():  # type: ignore[operator]
        json.dumps(found, ensure_ascii=False).encode()


def refuse_null_characters(value: Any) -> None:
    """Refuse text that PostgreSQL, and so Rails, cannot keep.

    Raises BadRequest.
    """
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting += found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, str) and "\0" in found:
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
