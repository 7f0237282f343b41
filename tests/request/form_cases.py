"""What the tests of forms share."""

from typing import Any

from astria_emulator.spec.coercion import compile_coercion
from astria_emulator.spec.openapi import Spec

THING = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "on": {"type": "boolean"},
        "names": {"type": "array", "items": {"type": "string"}},
        "counts": {"type": "array", "items": {"type": "integer"}},
        "some": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "free": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "inner": {"type": "object", "properties": {"count": {"type": "integer"}}},
        "inners": {
            "type": "array",
            "items": {"type": "object", "properties": {"count": {"type": "integer"}}},
        },
        "page": {"type": "integer", "x-clamp": 120},
        "fast": {"type": "boolean", "default": False},
        "maybe": {"type": ["boolean", "null"]},
    },
}


def coerced(value: Any, schema: Any = THING) -> Any:
    return compile_coercion(Spec({}), schema)(value)
