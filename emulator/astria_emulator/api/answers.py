"""Write answers through the contract's response schemas."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from astria_emulator.objects import presentation
from astria_emulator.services import Caller, Services
from astria_emulator.spec import fast_path
from astria_emulator.spec.fields import types_of
from astria_emulator.spec.openapi import Node
from astria_emulator.spec.schemas import Compiler
from astria_emulator.storage.store import Row


@dataclass(frozen=True)
class Answer:
    """An answer in plain values. `made`: table and id of the row that answers a POST."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    made: tuple[str, int] | None = None


_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
PRESENT: Mapping[str, Callable[[Services, Row, str], dict[str, Any]]] = {
    "tune": presentation.tune,
    "prompt": presentation.prompt,
}


class Dumper:
    """Writes answers as JSON through a response schema.

    A row's JSON is cached with the row until it changes.
    """

    def __init__(self, compiler: Compiler, schema: Node):
        resolved = compiler.spec.resolve(schema)
        self.is_list = types_of(resolved) == ("array",)
        item = resolved["items"] if self.is_list else schema
        alternatives = compiler.spec.resolve(item).get("anyOf", [item])
        self._schemas = [
            (compiler.spec.resolve(a).get("required", ()), compiler.object_class(a)())
            for a in alternatives
        ]
        self._name = str(item.get("$ref", id(item)))

    def __call__(
        self, services: Services, caller: Caller, result: Any, expand: Sequence[str]
    ) -> bytes:
        if self.is_list:
            return (
                b"["
                + b",".join(self._one(services, caller, item, expand) for item in result)
                + b"]"
            )
        return self._one(services, caller, result, expand)

    def _one(self, services: Services, caller: Caller, item: Any, expand: Sequence[str]) -> bytes:
        if not isinstance(item, Row):
            return self._json(item)
        # Not cached where it depends on more than the row: progress, expanded fields, and addresses
        # of the gallery and of objects that no request has created.
        has_no_origin = item.owner is None or not item.get("origin", True)
        if has_no_origin or expand or item.get("state") == "generating":
            return self._json(self._shown(services, caller, item, expand))
        if self._name not in item.rendered:
            item.rendered[self._name] = self._json(self._shown(services, caller, item, ()))
        return item.rendered[self._name]

    def _shown(
        self, services: Services, caller: Caller, row: Row, expand: Sequence[str]
    ) -> dict[str, Any]:
        present = PRESENT.get(row.table)
        shown = present(services, row, caller.origin) if present else dict(row.data)
        if "debug_images" in expand:
            shown |= {"debug_images": [], "debug_filenames": [], "debug_content_types": []}
        return shown | ({"comments": []} if "comments" in expand else {})

    def _json(self, data: Mapping[str, Any]) -> bytes:
        schema = next(
            schema for required, schema in self._schemas if all(name in data for name in required)
        )
        return _as_json(fast_path.dump(schema, data)).encode()
