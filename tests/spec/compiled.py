"""Schemas compiled for tests."""

from typing import Any

from astria_emulator.spec.openapi import Spec, default_path
from astria_emulator.spec.schemas import Compiler

SPEC = Spec.read(default_path())
COMPILER = Compiler(SPEC)


def accepts(schema: Any, value: Any) -> bool:
    """Whether the compiled class takes a value as the property `it` of an object."""
    made = COMPILER.object_class({"type": "object", "properties": {"it": schema}})
    return not made().validate({"it": value})
