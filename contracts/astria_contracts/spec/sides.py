"""Every constraint of the contract on what is sent, and on which side of it a value is.

A constraint has two sides, to be within it and to be beyond it; some have one that cannot be sent.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from astria_contracts.spec.document import JSON, Document, Operation, Schema
from astria_contracts.spec.encoding import File
from astria_contracts.spec.reading import Reader, is_blank

LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, limit: value in limit,
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "multipleOf": lambda value, limit: value % limit == 0,
    # Of several types that a value may have, a text's.
    "maxLength": lambda value, limit: not isinstance(value, str) or len(value) <= limit,
    "maxProperties": lambda value, limit: len(value) <= limit,
    "pattern": lambda value, limit: re.search(limit, value) is not None,
    "minItems": lambda value, limit: len(value) >= limit,
    "maxItems": lambda value, limit: len(value) <= limit,
    "x-clamp": lambda value, limit: value <= limit,
}
NUMERIC = {"minimum", "maximum", "multipleOf", "x-clamp"}
BLANK = r"\S"
ITEM, ANY_KEY = "[]", "*"
Place = tuple[str, ...]


@dataclass(frozen=True)
class Constraint:
    """One keyword of one parameter or field.

    `place` begins with where it is sent: path, query, header or body.
    """

    operation: str
    place: Place
    keyword: str
    schema: Any
    media_type: str = JSON  # that it can be sent in
    one_sided: str = ""  # why nothing can be sent that is beyond it

    @property
    def label(self) -> str:
        return f"{'.'.join(self.place)} {self.keyword}"

    def __hash__(self) -> int:
        return hash((self.operation, self.place, self.keyword))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constraint) and hash(self) == hash(other)


class Sides:
    """The constraints of each operation."""

    def __init__(self, document: Document):
        self._document = document
        self._reader = Reader(document.raw)
        self.of = {id: list(self._of(op)) for id, op in document.operations.items()}

    def _of(self, operation: Operation) -> Iterator[Constraint]:
        for parameter in operation.parameters:
            place = (parameter["in"], parameter["name"])
            schema: Schema = self._document.flat(parameter["schema"])
            if parameter["in"] != "path" and parameter.get("required"):
                yield Constraint(operation.id, place, "required", schema)
            yield from self._walk(operation, place, schema, is_text=True)
        merged: dict[Constraint, None] = {}
        for kind in sorted(operation.bodies):  # JSON first; a form has files besides
            body = self._document.flat(operation.bodies[kind])
            found = self._walk(operation, ("body",), body, media_type=kind)
            merged |= dict.fromkeys(found)
        yield from merged

    def _walk(
        self,
        operation: Operation,
        place: Place,
        schema: Schema,
        *,
        is_text: bool = False,
        required: bool = False,
        media_type: str = JSON,
    ) -> Iterator[Constraint]:
        def constraint(keyword: str, one_sided: str = "") -> Constraint:
            return Constraint(operation.id, place, keyword, schema, media_type, one_sided)

        kinds = types_of(schema)
        if kinds and place != ("body",):
            text = is_text and kinds <= {"string", "array"}
            yield constraint("type", "in a URL or a header everything is text" if text else "")
        for keyword in LIMITS:
            if keyword not in schema:
                continue
            why = ""
            if keyword == "pattern" and schema["pattern"] == BLANK and not required:
                why = "a blank text counts as absent"
            elif keyword == "minItems" and media_type != JSON:
                why = "a form cannot say that a list is empty"
            yield constraint(keyword, why)
        for name in schema.get("required", ()):
            child = self._document.flat(schema["properties"][name])
            yield Constraint(operation.id, (*place, name), "required", child, media_type)
        for name, child in schema.get("properties", {}).items():
            must = name in schema.get("required", ())
            flat = self._document.flat(child)
            yield from self._walk(
                operation, (*place, name), flat, required=must, media_type=media_type
            )
        if isinstance(schema.get("additionalProperties"), Mapping):
            flat = self._document.flat(schema["additionalProperties"])
            yield from self._walk(operation, (*place, ANY_KEY), flat, media_type=media_type)
        if "items" in schema:
            flat = self._document.flat(schema["items"])
            yield from self._walk(
                operation, (*place, ITEM), flat, is_text=is_text, media_type=media_type
            )

    def of_request(
        self,
        operation: Operation,
        *,
        path: Mapping[str, Any],
        query: Mapping[str, Any],
        headers: Mapping[str, Any],
        body: Any,
    ) -> Iterator[tuple[Constraint, bool]]:
        """The constraints that a request touches, and whether it is within each."""
        if operation.wrapper and isinstance(body, Mapping) and operation.wrapper not in body:
            body = {operation.wrapper: body} if body else body
        sent = {"path": path, "query": query, "header": headers, "body": body}
        for constraint in self.of[operation.id]:
            for value in values_at(sent, constraint.place, constraint.keyword == "required"):
                within = self._is_within(constraint, value)
                if within is not None:
                    yield constraint, within

    def _is_within(self, constraint: Constraint, value: Any) -> bool | None:
        """None where the constraint does not apply to a value."""
        schema, keyword = constraint.schema, constraint.keyword
        if keyword == "required":
            return not (value is MISSING or value is None or value == [] or is_blank(value))
        if value is MISSING or value is None:
            return None
        kinds = types_of(schema)
        if constraint.place[0] != "body" and kinds == {"array"} and not isinstance(value, list):
            value = [value]
        read = self._reader.read({"type": sorted(kinds)}, value) if kinds else value
        fits = not kinds or any(is_of(kind, read) for kind in kinds)
        if schema.get("format") == "binary":
            fits = isinstance(value, File | bytes)
        if keyword == "type":
            return fits
        if not fits or (keyword in NUMERIC and not isinstance(read, int | float)):
            return None
        limit = schema[keyword]
        return bool(LIMITS[keyword](read, limit))


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


def values_at(sent: Any, place: Place, wants_missing: bool) -> Iterator[Any]:
    """The values at a place; MISSING where the parent is there and it is not."""
    if not place:
        yield sent
        return
    step, rest = place[0], place[1:]
    if step == ITEM:
        for item in sent if isinstance(sent, list) else ():
            yield from values_at(item, rest, wants_missing)
    elif step == ANY_KEY:
        for item in sent.values() if isinstance(sent, Mapping) else ():
            yield from values_at(item, rest, wants_missing)
    elif isinstance(sent, Mapping):
        if step in sent:
            yield from values_at(sent[step], rest, wants_missing)
        elif not rest and wants_missing:
            yield MISSING


def types_of(schema: Schema) -> set[str]:
    """The types that a schema allows, without null."""
    kinds = schema.get("type", ())
    return {kinds} - {"null"} if isinstance(kinds, str) else set(kinds) - {"null"}


def is_of(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, File | bytes):
        return kind == "string"
    wanted: Any = _PYTHON[kind]
    return isinstance(value, wanted) or (
        kind == "integer" and isinstance(value, float) and value.is_integer()
    )


_PYTHON = {
    "object": Mapping,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


@lru_cache
def sides_of(document: Document) -> Sides:
    return Sides(document)
