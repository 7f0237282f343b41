"""Operations: read a request by the contract, call the handler, dump the answer."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from astria_emulator.api.answers import Answer, Dumper
from astria_emulator.errors import SetupError
from astria_emulator.objects.results import Creation, Empty
from astria_emulator.request.reading import Loaded, Reader
from astria_emulator.services import Caller, Services
from astria_emulator.spec.openapi import JSON, Operation
from astria_emulator.spec.schemas import Compiler
from astria_emulator.storage.store import Row

Handler = Callable[..., Any]


class BoundOperation:
    """An operation of the contract with its handler: reads requests and answers them."""

    def __init__(self, operation: Operation, handler: Handler, compiler: Compiler):
        self.operation = operation
        self._handler = handler
        self.reader = Reader(operation, inspect.signature(handler).parameters.keys(), compiler)
        self.status, schema = operation.success
        self._dump = Dumper(compiler, schema) if schema else None

    def answer(self, services: Services, caller: Caller, loaded: Loaded) -> Answer:
        """Call the handler, and dump its result by the response schema."""
        result = self._handler(services, caller, **loaded.given)
        status = self.status
        if isinstance(result, Empty):
            return Answer(result.status or status)
        if isinstance(result, Creation):
            status = int(services.assumed("repeat-status")) if result.repeated else status
            result = result.row
        headers = {}
        if isinstance(result, Row) and "backend" in result:
            headers["X-Astria-Emulator-Backend"] = result["backend"]
        is_created = isinstance(result, Row) and self.operation.method == "POST"
        made = (result.table, result.id) if is_created else None
        body = self._dump(services, caller, result, loaded.expand) if self._dump else b""
        return Answer(status=status, body=body, content_type=JSON, headers=headers, made=made)


def bind(
    operations: Iterable[Operation], handlers: Mapping[str, Handler], compiler: Compiler
) -> list[BoundOperation]:
    """Bind every operation to the handler of its id.

    Raises SetupError with all problems: missing handlers, handlers without an operation, unknown
    keywords.
    """
    operations = list(operations)
    problems = [f"operation {op.id!r} has no handler" for op in operations if op.id not in handlers]
    ids = {operation.id for operation in operations}
    problems += [f"handler {name!r} has no operation" for name in sorted(handlers.keys() - ids)]
    problems += sorted(set(_unknown_keywords(operations, compiler)))
    if problems:
        raise SetupError("openapi document", problems)
    return [BoundOperation(operation, handlers[operation.id], compiler) for operation in operations]


def _unknown_keywords(operations: Iterable[Operation], compiler: Compiler) -> Iterable[str]:
    for name, schema in compiler.spec.document.get("components", {}).get("schemas", {}).items():
        yield from compiler.unknown_keywords(schema, name)
    for operation in operations:
        for parameter in operation.parameters:
            yield from compiler.unknown_keywords(
                parameter["schema"], f"{operation.id}.{parameter['name']}"
            )
        for part in (operation.request_body or {}).get("content", {}).values():
            yield from compiler.unknown_keywords(part["schema"], f"{operation.id} body")
            yield from compiler.lost_names(part["schema"], f"{operation.id} body")
        _, schema = operation.success
        yield from compiler.unknown_keywords(schema or {}, f"{operation.id} answer")
