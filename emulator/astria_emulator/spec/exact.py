"""Documents that a program has written, checked to the letter by a component's schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema, ValidationError

from astria_emulator.errors import Message
from astria_emulator.spec import fast_path
from astria_emulator.spec.openapi import Spec
from astria_emulator.spec.schemas import Compiler

LONGEST = 40  # characters of a name in a place


class Shapes:
    """Looks at values as components of a document; nothing is coerced, and nothing is changed."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self._compiler = Compiler(spec, exact=True)
        self._schemas: dict[str, Schema] = {}

    def problems(self, component: str, value: Any, place: str = "") -> Iterator[tuple[str, str]]:
        """Where a value is wrong, such as `tables.tune[0].id`, and what is wrong there.

        place: where the value is.
        """
        if component not in self._schemas:
            reference = {"$ref": f"#/components/schemas/{component}"}
            self._schemas[component] = self._compiler.object_class(reference)()
        try:
            fast_path.load(self._schemas[component], value)
        except ValidationError as error:
            yield from _placed(error.messages, place)


def _placed(nested: Any, place: str) -> Iterator[tuple[str, str]]:
    """marshmallow's nested messages, each with its place."""
    if isinstance(nested, Mapping):
        for key, child in nested.items():
            if isinstance(key, int):
                yield from _placed(child, f"{place}[{key}]")
            elif key in ("_schema", "value"):  # of the object itself; of a name's value
                yield from _placed(child, place)
            else:
                name = key[:LONGEST]
                yield from _placed(child, f"{place}.{name}" if place else name)
    else:
        for text in nested:
            why = f" ({text.explanation})" if isinstance(text, Message) and text.explanation else ""
            yield place, f"{text}{why}"
