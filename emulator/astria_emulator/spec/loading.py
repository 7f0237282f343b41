"""Values read by a schema: coerced first, then checked."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from astria_emulator.errors import Invalid
from astria_emulator.spec import fast_path
from astria_emulator.spec.coercion import Coerce, compile_coercion, refuse_null_characters
from astria_emulator.spec.openapi import Node, Spec
from astria_emulator.spec.schemas import Compiler, flat_messages


class Loader:
    """Coerces and checks values against one object schema."""

    def __init__(self, compiler: Compiler, schema: Node):
        self._coerce: Coerce = compile_coercion(compiler.spec, schema)
        self._schema: Schema = compiler.object_class(schema)()

    def __call__(self, value: Any) -> dict[str, Any]:
        """Raises marshmallow's ValidationError, with messages by field, and BadRequest."""
        coerced = self._coerce(value)
        refuse_null_characters(coerced)
        return fast_path.load(self._schema, coerced)


def load_component(compiler: Compiler, name: str, value: Any) -> dict[str, Any]:
    """Read a value as a component of a document.

    Raises Invalid with all that is wrong.
    """
    if not isinstance(value, Mapping):
        raise Invalid({"base": ["is not an object"]})
    try:
        return Loader(compiler, {"$ref": f"#/components/schemas/{name}"})(dict(value))
    except ValidationError as error:
        raise Invalid(flat_messages(error.messages)) from None


@lru_cache
def control_contract() -> Compiler:
    """The contract of what is under /_emulator/."""
    return Compiler(Spec.read(Path(__file__).with_name("control.yaml")))
