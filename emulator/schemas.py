"""Compile a JSON Schema of the contract into a marshmallow field or class.

The only door to marshmallow.

Values are checked strictly here: `forms.py` has already read text as the schema's types. Messages
are in Rails' wording; where the schema carries `x-message`, that is the message.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema

from emulator.clock import wire_time
from emulator.errors import Message
from emulator.spec import Node, Spec

BLANK = "can't be blank"
Check = Callable[[Any], bool]
INTEGER_BITS = {"int32": 31, "int64": 63}

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
    "pattern": (lambda text: lambda v: _regex(text).search(v) is not None, lambda _: "is invalid"),
    "minItems": (lambda n: lambda v: len(v) >= n, lambda n: f"is too short (minimum is {n})"),
}
FORMATS = {"int32", "int64", "date-time", "uri", "email", "binary"}
# What says something to a reader, or is read elsewhere in this module or in forms.py, and so is no
# check by itself.
SILENT = {
    "type", "format", "title", "description", "default", "example", "examples", "properties",
    "required", "items", "additionalProperties", "allOf", "anyOf", "x-message", "x-clamp",
}  # fmt: skip


def _same(value: Any, option: Any) -> bool:
    """JSON equality: 1 is 1.0 but not true."""
    return isinstance(value, bool) is isinstance(option, bool) and value == option


def _regex(pattern: str) -> re.Pattern[str]:
    """ECMA 262: `$` matches at the very end only, and `\\d` is ASCII."""
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), re.ASCII)


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
        case "number":
            finite = (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and math.isfinite(value)
            )
            return bool(finite)
    return False


TYPE_MESSAGES = {
    "string": "is not a string",
    "boolean": "is not a boolean",
    "integer": "must be an integer",
    "number": "is not a number",
}


class Scalar(fields.Field[Any]):
    """A string, number or boolean that meets every keyword of its schema."""

    def __init__(self, schema: Node, **kwargs: Any):
        super().__init__(allow_none=allows_null(schema), **kwargs)
        self.types = types_of(schema)
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

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
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
                raise ValidationError(
                    Message(self.message or message, _explain(value, keyword, argument))
                )
        return value

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return wire_time(value) if isinstance(value, datetime) else value


def _explain(value: Any, keyword: str, argument: Any) -> str:
    """What was sent and what would do.

    Free text is not shown: it may be a prompt or hold a secret.
    """
    if keyword == "pattern":
        return f"expected text that matches {argument}"
    if keyword == "enum":
        options = ", ".join(str(option) for option in argument if option is not None)
        return f"got {str(value)[:40]!r}: expected one of {options}"
    return f"got {str(value)[:40]}: {keyword} is {argument}"


class Upload(fields.Field[Any]):
    """A file part of a form, handed on as it is."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str | int | float | bool | list | dict):
            raise ValidationError(
                Message("is not a file", "expected a file part of a multipart form")
            )
        return value


class Items(fields.List[Any]):
    def __init__(self, inner: fields.Field[Any], schema: Node, **kwargs: Any):
        super().__init__(inner, allow_none=allows_null(schema), **kwargs)
        self.minimum = schema.get("minItems", 0)
        self.error_messages = {**self.error_messages, "invalid": "is not an array"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        loaded: list[Any] = super()._deserialize(value, attr, data, **kwargs)
        if len(loaded) < self.minimum:
            raise ValidationError(CHECKS["minItems"][1](self.minimum))
        return loaded


class Wire(Schema):
    """Base of all compiled classes: unknown attributes are dropped, as Rails does."""

    needs: Sequence[tuple[Sequence[Sequence[str]], Mapping[str, str]]] = ()

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "is not an object"}  # noqa: RUF012 - marshmallow's own name

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _has_what_it_needs(self, data: Any, original: Any, **kwargs: Any) -> None:
        for alternatives, messages in self.needs:
            if not any(
                all(original.get(name) is not None for name in names) for names in alternatives
            ):
                raise ValidationError({field: [text] for field, text in messages.items()})


class Compiler:
    """Compiles the schemas of one document; a component is compiled once."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self._classes: dict[str, type[Wire]] = {}

    def property_names(self, component: str) -> frozenset[str]:
        """The properties of a component, `allOf` included."""
        parts = self.spec.object_parts({"$ref": f"#/components/schemas/{component}"})
        return frozenset(name for part in parts for name in part.get("properties", {}))

    def object_class(self, schema: Node) -> type[Wire]:
        """The marshmallow class of an object schema."""
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and name in self._classes:
            return self._classes[name]
        made: dict[str, fields.Field[Any]] = {}
        needs = []
        for part in self.spec.object_parts(schema):
            required = list(part.get("required", ()))
            if messages := part.get("x-message"):
                alternatives = [
                    option["required"] for option in part.get("anyOf", [{"required": required}])
                ]
                needs.append((alternatives, messages))
                required = [] if "anyOf" not in part else required
            for key, child in part.get("properties", {}).items():
                made[key] = self.field(child, required=key in required)
            for key in set(required) - part.get("properties", {}).keys():
                made[key].required = True
        base = type(name or "Inline", (Wire,), {"needs": tuple(needs)})
        compiled: type[Wire] = base.from_dict(made, name=name or "Inline")  # type: ignore[attr-defined]
        if name:
            self._classes[name] = compiled
        return compiled

    def field(self, schema: Node, *, required: bool = False) -> fields.Field[Any]:
        """The marshmallow field of any schema."""
        resolved = self.spec.resolve(schema)
        kwargs: dict[str, Any] = {
            "required": required,
            "error_messages": {
                "required": BLANK,
                "null": BLANK,
                "validator_failed": "is invalid",
                "invalid": "is invalid",
            },
        }
        if "default" in resolved:
            kwargs |= {"load_default": resolved["default"]}
        kinds = types_of(resolved)
        if kinds == ("object",):
            if isinstance(extra := resolved.get("additionalProperties"), Mapping):
                field = fields.Dict(
                    values=self.field(extra), allow_none=allows_null(resolved), **kwargs
                )
                field.error_messages = {**field.error_messages, "invalid": "is not an object"}
                return field
            return fields.Nested(
                self.object_class(schema), allow_none=allows_null(resolved), **kwargs
            )
        if kinds == ("array",):
            return Items(self.field(resolved["items"]), resolved, **kwargs)
        if resolved.get("format") == "binary":
            return Upload(**kwargs)
        return Scalar(resolved, **kwargs)

    def unknown_keywords(self, schema: Node, where: str) -> Iterator[str]:
        """Name every keyword, type and format below a schema that nothing here understands."""
        if "$ref" in schema:
            try:
                self.spec.resolve(schema)
            except KeyError as error:
                yield f"{where}: {error} leads nowhere"
        for key in schema.keys() - CHECKS.keys() - SILENT - {"$ref"}:
            yield f"{where}: unknown keyword {key!r}"
        for kind in set(types_of(schema)) - {
            "string",
            "integer",
            "number",
            "boolean",
            "object",
            "array",
        }:
            yield f"{where}: unknown type {kind!r}"
        if schema.get("format", "binary") not in FORMATS:
            yield f"{where}: unknown format {schema['format']!r}"
        for option in schema.get("anyOf", ()):
            if "required" not in option and "$ref" not in option:
                yield f"{where}: anyOf holds alternatives of `required`, or references"
        for key in ("items", "additionalProperties"):
            if isinstance(child := schema.get(key), Mapping):
                yield from self.unknown_keywords(child, f"{where}.{key}")
        for name, child in schema.get("properties", {}).items():
            yield from self.unknown_keywords(child, f"{where}.{name}")
        for index, child in enumerate(schema.get("allOf", ())):
            yield from self.unknown_keywords(child, f"{where}.allOf[{index}]")


def flat_messages(nested: Any) -> dict[str, list[str]]:
    """Marshmallow's nested messages as Rails' flat hash.

    `{"prompts_attributes": {0: {"text": [...]}}}` becomes `{"prompts.text": [...]}`.
    """
    flat: dict[str, list[str]] = {}

    def walk(node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, Mapping):
            for key, child in node.items():
                name = (
                    str(key).removesuffix("_attributes")
                    if isinstance(next(iter(_children(child)), None), int)
                    else str(key)
                )
                skip = isinstance(key, int) or key in ("_schema", "value", "key")
                walk(child, path if skip else (*path, name))
        else:
            texts = flat.setdefault(".".join(path) or "base", [])
            texts.extend(text for text in node if text not in texts)

    def _children(node: Any) -> Any:
        return node if isinstance(node, Mapping) else ()

    walk(nested, ())
    return flat
