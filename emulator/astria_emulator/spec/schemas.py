"""Compile a JSON Schema of the contract into a marshmallow class.

Values are checked strictly: `forms.py` has already read text as the schema's types.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validates_schema

from astria_emulator.spec.fields import (
    BLANK,
    CHECKS,
    FORMATS,
    SILENT,
    STRICT,
    Items,
    Named,
    Scalar,
    Upload,
    allows_null,
    both,
    compiles,
    types_of,
)
from astria_emulator.spec.openapi import Node, Spec


class Wire(Schema):
    """Base of all compiled classes: unknown attributes are dropped, as Rails does."""

    needs: Sequence[tuple[Sequence[Sequence[str]], Mapping[str, str]]] = ()

    class Meta:
        unknown = EXCLUDE

    # marshmallow's own name
    error_messages = {"type": "is not an object", "unknown": "is not known"}  # noqa: RUF012

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _has_what_it_needs(self, data: Any, original: Any, **kwargs: Any) -> None:
        if not isinstance(original, Mapping):
            return  # told already
        for alternatives, messages in self.needs:
            if not any(
                all(original.get(name) is not None for name in names) for names in alternatives
            ):
                raise ValidationError({field: [text] for field, text in messages.items()})


class Compiler:
    """Compiles the schemas of one document; a component is compiled once.

    exact: for what a program has written, not a person: nothing is read as what it is not quite,
    and what is missing is told from what is null.
    """

    def __init__(self, spec: Spec, *, exact: bool = False):
        self.spec = spec
        self._exact = exact
        self._classes: dict[str, type[Wire]] = {}

    def property_names(self, schema: Node) -> frozenset[str]:
        """The properties of an object schema, `allOf` included."""
        parts = self.spec.object_parts(schema)
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
                field = self.field(child, required=key in required)
                made[key] = both(made[key], field) if key in made else field
            for key in set(required) - part.get("properties", {}).keys():
                made[key].required = True
        base = type(name or "Inline", (Wire,), {"needs": tuple(needs)})
        compiled: type[Wire] = base.from_dict(made, name=name or "Inline")  # type: ignore[attr-defined]
        compiled.opts.unknown = RAISE if self.spec.resolve(schema).get(STRICT) else EXCLUDE
        if name:
            self._classes[name] = compiled
        return compiled

    def field(self, schema: Node, *, required: bool = False) -> fields.Field[Any]:
        """The marshmallow field of any schema."""
        resolved = self.spec.resolve(schema)
        kinds = types_of(resolved)
        kwargs: dict[str, Any] = {
            "required": required,
            "error_messages": {
                "required": "is missing" if self._exact else BLANK,
                "null": f"is null: expected {' or '.join(kinds)}" if self._exact else BLANK,
                "validator_failed": "is invalid",
                "invalid": "is invalid",
            },
        }
        if "default" in resolved:
            kwargs |= {"load_default": resolved["default"]}
        if kinds == ("object",):
            if isinstance(extra := resolved.get("additionalProperties"), Mapping):
                return Named(self.field(extra), resolved, **kwargs)
            return fields.Nested(
                self.object_class(schema), allow_none=allows_null(resolved), **kwargs
            )
        if kinds == ("array",):
            return Items(self.field(resolved["items"]), resolved, exact=self._exact, **kwargs)
        if resolved.get("format") == "binary":
            return Upload(**kwargs)
        return Scalar(resolved, exact=self._exact, **kwargs)

    def lost_names(self, schema: Node, where: str) -> Iterator[str]:
        """Name what an object requires and has no property for, in it and below it."""
        parts = self.spec.object_parts(schema)
        names = self.property_names(schema)
        for part in parts:
            options = [part, *part.get("anyOf", ())]
            for name in sorted(
                {n for option in options for n in option.get("required", ())} - names
            ):
                yield f"{where}: requires {name!r}, which is no property"
            for key, child in part.get("properties", {}).items():
                if types_of(self.spec.resolve(child)) == ("object",):
                    yield from self.lost_names(child, f"{where}.{key}")

    def unknown_keywords(self, schema: Node, where: str) -> Iterator[str]:
        """Name every keyword, type and format below a schema that nothing here understands."""
        if "$ref" in schema:
            try:
                self.spec.resolve(schema)
            except LookupError as error:
                yield f"{where}: {error.args[0]}"
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
        if "pattern" in schema and not compiles(schema["pattern"]):
            yield f"{where}: pattern {schema['pattern']!r} cannot be compiled"
        for option in schema.get("anyOf", ()):
            if "$ref" in option:
                yield from self.unknown_keywords(option, f"{where}.anyOf")
            elif "required" not in option:
                yield f"{where}: anyOf holds alternatives of `required`, or references"
        for key in ("items", "additionalProperties", "propertyNames"):
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
