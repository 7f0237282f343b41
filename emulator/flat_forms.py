"""The contract with form fields spelled out, so that Swagger UI shows a field for each."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from emulator.fields import types_of
from emulator.spec import JSON, Node, Spec

DEEPEST = 3  # levels of brackets that are spelled out


def with_flat_forms(spec: Spec, server: str) -> dict[str, Any]:
    """A copy of the document whose multipart and urlencoded bodies have one property a field."""
    document: dict[str, Any] = copy.deepcopy(dict(spec.document))
    document["servers"] = [{"url": server}]
    for item in document["paths"].values():
        for operation in item.values():
            body = operation.get("requestBody") if isinstance(operation, dict) else None
            for content_type, part in (body or {}).get("content", {}).items():
                if content_type != JSON:
                    part["schema"] = {
                        "type": "object",
                        "properties": dict(flat_fields(spec, part["schema"])),
                    }
                    part.pop("encoding", None)
                    part.pop("examples", None)
    return document


def flat_fields(
    spec: Spec, schema: Node, name: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Form fields of a schema by their bracketed names."""
    resolved = spec.resolve(schema)
    kinds = types_of(resolved)
    if kinds == ("object",) and not resolved.get("additionalProperties") and depth < DEEPEST:
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
