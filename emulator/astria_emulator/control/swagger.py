"""The contract for Swagger UI: form fields spelled out, so that it shows an input for each."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from astria_emulator.spec.fields import types_of
from astria_emulator.spec.openapi import JSON, Node, Spec

MAX_DEPTH = 3  # levels of brackets that are spelled out


def with_flat_forms(spec: Spec, server: str) -> dict[str, Any]:
    """Return a copy of the document whose form bodies have one property for each field."""
    # Through JSON: parts that YAML anchors share become separate copies.
    document: dict[str, Any] = json.loads(json.dumps(spec.document))
    document["servers"] = [{"url": server}]
    for item in document["paths"].values():
        for operation in item.values():
            body = operation.get("requestBody") if isinstance(operation, dict) else None
            for content_type, part in (body or {}).get("content", {}).items():
                if content_type != JSON:
                    flatten(spec, part)
    return document


def flatten(spec: Spec, part: dict[str, Any]) -> None:
    """Spell out the body of one media type in place."""
    examples = [spec.resolve(example)["value"] for example in part.pop("examples", {}).values()]
    values = dict(flat_values(examples[0])) if examples else {}
    fields = {
        name: field(schema, values.get(name)) for name, schema in flat_fields(spec, part["schema"])
    }
    part["schema"] = {"type": "object", "properties": fields}
    lists = [name for name, schema in fields.items() if schema.get("type") == "array"]
    part["encoding"] = {name: {"style": "form", "explode": True} for name in lists}


def flat_fields(
    spec: Spec, schema: Node, name: str = "", depth: int = 0
) -> Iterator[tuple[str, Node]]:
    """Yield the form fields of a schema with their bracketed names."""
    resolved = spec.resolve(schema)
    kinds = types_of(resolved)
    if kinds == ("object",) and not resolved.get("additionalProperties") and depth < MAX_DEPTH:
        for part in spec.object_parts(resolved):
            for key, child in part.get("properties", {}).items():
                yield from flat_fields(spec, child, f"{name}[{key}]" if name else key, depth + 1)
    elif kinds == ("array",):
        item = spec.resolve(resolved["items"])
        if types_of(item) == ("object",):
            yield from flat_fields(spec, item, f"{name}[]", depth + 1)
        else:
            yield f"{name}[]", {**resolved, "items": item}
    else:
        yield name, resolved


def flat_values(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a value's parts, the nested objects included, with their bracketed names."""
    if name:
        yield name, value
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from flat_values(child, f"{name}[{key}]" if name else key)
    elif isinstance(value, list):
        yield f"{name}[]", value


def field(schema: Node, example: Any) -> dict[str, Any]:
    """Return a field's schema with its example, or an empty one.

    Without any example Swagger UI makes up a value, and sends it.
    """
    shown = {key: value for key, value in schema.items() if key != "default"}
    kinds = types_of(shown)
    if kinds == ("object",):
        text = json.dumps(example[0] if isinstance(example, list) else example) if example else ""
        description = f"{schema.get('description', '')} JSON text.".strip()
        return {"type": "string", "description": description, "example": text}
    if len(kinds) == 1:  # a form leaves the field out to say null
        shown["type"] = kinds[0]
    if "enum" in shown:
        shown["enum"] = [option for option in shown["enum"] if option is not None]
    if kinds == ("array",):
        return {**shown, "example": example or []}
    if shown.get("format") == "binary":
        return shown
    return {**shown, "example": "" if example is None else example}
