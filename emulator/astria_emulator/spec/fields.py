"""Fields that check what a JSON Schema says: one row of a table for each keyword.

Messages are in Rails' wording; where the schema carries `x-message`, that is the message.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields

from astria_emulator.clock import wire_time
from astria_emulator.errors import Message
from astria_emulator.spec.openapi import Node

BLANK = "can't be blank"
Check = Callable[[Any], bool]
INTEGER_BITS = {"int32": 31, "int64": 63}


def _matches(pattern: str) -> Check:
    search = _regex(pattern).search
    return lambda value: search(value) is not None


# keyword -> (argument -> test that a value passes, argument -> message)
CHECKS: Mapping[str, tuple[Callable[[Any], Check], Callable[[Any], str]]] = {
    "enum": (
        lambda options: lambda v: any(_same(v, o) for o in options),
        lambda _: "is not included in the list",
    ),
    "minimum": (
        lambda low: lambda v: v >= low,
        lambda low: f"must be greater than or equal to {low}",
    ),
    "maximum": (
        lambda high: lambda v: v <= high,
        lambda high: f"must be less than or equal to {high}",
    ),
    "multipleOf": (
        lambda step: lambda v: v % step == 0,
        lambda step: f"must be a multiple of {step}",
    ),
    # Before `pattern`, which takes long where the text is long.
    "maxLength": (
        lambda n: lambda v: not isinstance(v, str) or len(v) <= n,
        lambda n: f"is too long (maximum is {n} characters)",
    ),
    "pattern": (_matches, lambda _: "is invalid"),
    "minItems": (lambda n: lambda v: len(v) >= n, lambda n: f"is too short (minimum is {n})"),
    "maxItems": (lambda n: lambda v: len(v) <= n, lambda n: f"is too long (maximum is {n})"),
    "maxProperties": (
        lambda n: lambda v: len(v) <= n,
        lambda n: f"has too many keys (maximum is {n})",
    ),
}
FORMATS = {"int32", "int64", "date-time", "uri", "email", "binary"}
STRICT = "x-strict"  # of an object: what is not among its properties is refused, and not dropped
# What says something to a reader, or is read elsewhere in this module or in forms.py, and so is no
# check by itself.
SILENT = {
    "type", "format", "title", "description", "default", "example", "examples", "properties",
    "required", "items", "additionalProperties", "propertyNames", "allOf", "anyOf", "x-message",
    "x-clamp", STRICT,
}  # fmt: skip


def _same(value: Any, option: Any) -> bool:
    """JSON equality: 1 is 1.0 but not true."""
    return isinstance(value, bool) is isinstance(option, bool) and value == option


# White space as ECMA 262 has it; Python's differs in a few characters.
SPACE = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
ECMA = {r"\d": "0-9", r"\w": "A-Za-z0-9_", r"\s": SPACE}
_STEP = re.compile(r"\\.|[\[\]$]|.", re.DOTALL)


def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern of ECMA 262: `$` is the very end, and `\\d`, `\\w` and `\\s` are its own."""
    found, last, in_class = "", "", False
    for step in _STEP.findall(pattern):
        if step in ECMA or step.lower() in ECMA:
            negated = "^" if step not in ECMA else ""
            step = ECMA[step] if in_class and not negated else f"[{negated}{ECMA[step.lower()]}]"
        elif step == "$" and not in_class:
            step = r"\Z"
        elif step in "[]":
            in_class = step == "["
        elif step == "*" and last == ")" and not in_class:
            # A group gives nothing back: else each round is kept, 35 bytes for one of the text.
            step = "*+"
        found, last = found + step, step
    return re.compile(found)


def compiles(pattern: str) -> bool:
    try:
        _regex(pattern)
    except re.error:
        return False
    return True


def types_of(schema: Node) -> tuple[str, ...]:
    """The JSON types that a schema allows, without null; an `allOf` is an object."""
    declared = schema.get("type", "object" if {"properties", "allOf"} & schema.keys() else ())
    return tuple(t for t in ([declared] if isinstance(declared, str) else declared) if t != "null")


def allows_null(schema: Node) -> bool:
    return "null" in schema.get("type", ())


def _is_type(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, float) and value.is_integer()
            return (isinstance(value, int) or whole) and not isinstance(value, bool)
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            is_finite = isinstance(value, float) and math.isfinite(value)
            # No float holds a larger integer.
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return is_finite or (is_whole and abs(value) < 2**1023)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
    return False


TYPE_MESSAGES = {
    "string": "is not a string",
    "boolean": "is not a boolean",
    "integer": "must be an integer",
    "whole": "must be an integer",
    "number": "is not a number",
    "object": "is not an object",
    "array": "is not an array",
}


class Scalar(fields.Field[Any]):
    """A string, number or boolean that meets every keyword of its schema.

    Where a schema allows several types it may be an object or array, of any form.
    exact: 1.0 is no integer.
    """

    def __init__(self, schema: Node, *, exact: bool = False, **kwargs: Any):
        super().__init__(allow_none=allows_null(schema), **kwargs)
        self.types = tuple(
            "whole" if exact and kind == "integer" else kind for kind in types_of(schema)
        )
        self.message: str | None = schema.get("x-message")
        self.checks = [
            (CHECKS[key][0](schema[key]), CHECKS[key][1](schema[key]), key, schema[key])
            for key in CHECKS
            if key in schema
        ]
        if bits := INTEGER_BITS.get(schema.get("format", "")):
            self.checks.append(
                (lambda v: -(2**bits) <= v < 2**bits, "is out of range", "format", schema["format"])
            )

    def read(self, value: Any) -> Any:
        """A value that is not null, checked.

        Raises marshmallow's ValidationError.
        """
        if self.types and not any(_is_type(value, kind) for kind in self.types):
            raise ValidationError(
                Message(
                    self.message or TYPE_MESSAGES[self.types[0]], f"got a {type(value).__name__}"
                )
            )
        if "integer" in self.types and isinstance(value, float):
            value = int(value)
        for passes, message, keyword, argument in self.checks:
            if not passes(value):
                # The schema's own message says what a value is to be, not how long.
                told = message if keyword == "maxLength" else self.message or message
                raise ValidationError(Message(told, _explain(value, keyword, argument)))
        return value

    def write(self, value: Any) -> Any:
        """A value as JSON has it."""
        return wire_time(value) if isinstance(value, datetime) else value

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return self.read(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return self.write(value)


def _explain(value: Any, keyword: str, argument: Any) -> str:
    """What was sent and what would do.

    Free text is not shown: it may be a prompt or hold a secret.
    """
    if keyword == "pattern":
        return f"expected text that matches {argument}"
    if keyword == "maxLength":
        return f"got {len(value)}"
    if keyword == "enum":
        options = ", ".join(str(option) for option in argument if option is not None)
        return f"got {str(value)[:40]!r}: expected one of {options}"
    return f"got {str(value)[:40]}: {keyword} is {argument}"


class Upload(fields.Field[Any]):
    """A file part of a form, handed on as it is."""

    def read(self, value: Any) -> Any:
        """Raises marshmallow's ValidationError."""
        if isinstance(value, str | int | float | bool | list | dict):
            raise ValidationError(
                Message("is not a file", "expected a file part of a multipart form")
            )
        return value

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return self.read(value)


class Items(fields.List[Any]):
    """exact: an object is no array of its names."""

    def __init__(
        self, inner: fields.Field[Any], schema: Node, *, exact: bool = False, **kwargs: Any
    ):
        super().__init__(inner, allow_none=allows_null(schema), **kwargs)
        self.exact = exact
        self.minimum = schema.get("minItems", 0)
        self.maximum = schema.get("maxItems", math.inf)
        self.error_messages = {**self.error_messages, "invalid": "is not an array"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if self.exact and not isinstance(value, list):
            raise self.make_error("invalid")
        # Before its items: there may be millions, each with a message.
        if isinstance(value, list) and len(value) > self.maximum:
            raise ValidationError(CHECKS["maxItems"][1](self.maximum))
        loaded: list[Any] = super()._deserialize(value, attr, data, **kwargs)
        if len(loaded) < self.minimum:
            raise ValidationError(CHECKS["minItems"][1](self.minimum))
        return loaded


class Named(fields.Dict):
    """An object whose names a caller invents."""

    def __init__(self, values: fields.Field[Any], schema: Node, **kwargs: Any):
        names = Scalar({"type": "string", **schema.get("propertyNames", {})})
        super().__init__(keys=names, values=values, allow_none=allows_null(schema), **kwargs)
        self.maximum = schema.get("maxProperties", math.inf)
        self.error_messages = {**self.error_messages, "invalid": "is not an object"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, Mapping) and len(value) > self.maximum:
            raise ValidationError(CHECKS["maxProperties"][1](self.maximum))
        return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]


def both(one: fields.Field[Any], other: fields.Field[Any]) -> fields.Field[Any]:
    """A property that two parts of an `allOf` describe: what either demands is demanded."""
    other.required = other.required or one.required
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        other.checks = one.checks + other.checks
    if isinstance(one, Items) and isinstance(other, Items):
        other.minimum = max(one.minimum, other.minimum)
        other.maximum = min(one.maximum, other.maximum)
    return other
