"""One request: load it by the contract, call the handler, dump the answer by the contract."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from marshmallow import Schema, ValidationError

from astria_emulator.answers import Answer, Dumper
from astria_emulator.errors import BadRequest, Invalid, NotFound, SetupError, UnsupportedMediaType
from astria_emulator.request.calls import Call, parse_json
from astria_emulator.request.forms import (
    Coerce,
    compile_coercion,
    nest,
    read_json_text,
    refuse_null_characters,
)
from astria_emulator.services import Caller, Services
from astria_emulator.spec import fast_path
from astria_emulator.spec.openapi import JSON, Node, Operation
from astria_emulator.spec.schemas import Compiler, flat_messages
from astria_emulator.storage.store import Row
from astria_emulator.values import Empty, Made

Handler = Callable[..., Any]
WORKSPACE = "X-Workspace-Id"


@dataclass(frozen=True)
class Loaded:
    """A request that fits the contract: what the handler is given, and what else counts."""

    given: Mapping[str, Any]
    workspace: str | None
    expand: Sequence[str]


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


class BoundOperation:
    """An operation of the contract with its handler.

    Schemas are compiled when they are first needed.
    """

    def __init__(self, operation: Operation, handler: Handler, compiler: Compiler):
        self.operation = operation
        self._handler = handler
        self._compiler = compiler
        self._wants = inspect.signature(handler).parameters.keys()
        self._bodies: dict[str, Loader] = {}
        self._path = self._loader("path")
        self._query = self._loader("query")
        self._headers = self._loader("header")
        names = [(p["in"], p["name"]) for p in operation.parameters]
        self._lists = [n.removesuffix("[]") for _, n in names if n.endswith("[]")]
        self._header_names = [name for place, name in names if place == "header"]
        self.status, schema = operation.success
        self._dump = Dumper(compiler, schema) if schema else None

    def _loader(self, place: str) -> Loader | None:
        """Parameters of one place as one object; `name[]` is known as `name`, as Rack reads it."""
        found = {
            p["name"].removesuffix("[]"): p for p in self.operation.parameters if p["in"] == place
        }
        if not found:
            return None
        required = [name for name, parameter in found.items() if parameter.get("required")]
        properties = {name: parameter["schema"] for name, parameter in found.items()}
        return Loader(
            self._compiler, {"type": "object", "required": required, "properties": properties}
        )

    def load(self, call: Call) -> Loaded:
        """Check a request.

        Raises NotFound for the path, BadRequest for the query, the headers and what cannot be
        read, Invalid for the body.
        """
        given: dict[str, Any] = {}
        if self._path:
            try:
                given |= self._path(dict(call.path))
            except ValidationError:
                raise NotFound from None
        query = _load_parameters(self._query, lambda: self._sent_query(call))
        headers = _load_parameters(self._headers, lambda: self._sent_headers(call))
        given["query"] = query
        if self.operation.request_body:
            given["body"] = self._load_body(call)
        given = {name: value for name, value in given.items() if name in self._wants}
        return Loaded(given, headers.get(WORKSPACE), query.get("expand", ()))

    def _sent_query(self, call: Call) -> dict[str, Any]:
        """Rails takes `name=man` where `name[]=man` is meant."""
        sent = nest(call.query)
        for name in self._lists:
            if isinstance(sent.get(name), str):
                sent[name] = [sent[name]]
        return sent

    def _sent_headers(self, call: Call) -> dict[str, Any]:
        return {name: call.headers[name] for name in self._header_names if name in call.headers}

    def _load_body(self, call: Call) -> dict[str, Any]:
        value = self._wrapped(self._read_body(call))
        wrapper = self.operation.wrapper
        try:
            return self._body_loader(call)(value)
        except ValidationError as error:
            nested: Any = error.messages
            inner = nested.pop(wrapper, {}) if wrapper else {}
            raise Invalid(flat_messages(nested) | flat_messages(inner)) from None

    def _wrapped(self, value: dict[str, Any]) -> dict[str, Any]:
        """Put attributes at the top level under the wrapper, unless the wrapper is there."""
        wrapper = self.operation.wrapper
        if wrapper is None:
            return value
        if wrapper in value:
            given = value[wrapper]
            if not self._names_an_attribute or isinstance(read_json_text(given, dict), dict):
                return value
        return {**value, wrapper: value}

    @cached_property
    def _names_an_attribute(self) -> bool:
        """Whether an attribute has the wrapper's name: what is no object is then that one.

        POST /themes is such an operation.
        """
        wrapper = self.operation.wrapper or ""
        schema = self._compiler.spec.resolve(self._body_schema(JSON))["properties"][wrapper]
        return wrapper in self._compiler.property_names(schema)

    def _body_schema(self, content_type: str) -> Node:
        body = self.operation.request_body or {}
        schema: Node = body["content"][content_type]["schema"]
        return schema

    def _body_loader(self, call: Call) -> Loader:
        """By content type.

        A body that was not sent is checked as JSON: what is required is then missing.
        """
        kind = call.content_type if call.has_body else JSON
        if kind not in self._bodies:
            self._bodies[kind] = Loader(self._compiler, self._body_schema(kind))
        return self._bodies[kind]

    def _read_body(self, call: Call) -> dict[str, Any]:
        body = self.operation.request_body or {}
        if not call.has_body:
            return {}
        if call.content_type not in body["content"]:
            raise UnsupportedMediaType
        if call.content_type != JSON:
            return nest(call.fields)
        value = parse_json(call.text)
        if not isinstance(value, dict):
            raise BadRequest("the JSON body is not an object")
        return value

    def answer(self, services: Services, caller: Caller, loaded: Loaded) -> Answer:
        """Serve a request."""
        result = self._handler(services, caller, **loaded.given)
        status = self.status
        if isinstance(result, Empty):
            return Answer(result.status or status)
        if isinstance(result, Made):
            status = int(services.assumed("repeat-status")) if result.repeated else status
            result = result.row
        headers = {}
        if isinstance(result, Row) and "backend" in result:
            headers["X-Astria-Emulator-Backend"] = result["backend"]
        is_made = isinstance(result, Row) and self.operation.method == "POST"
        made = (result.table, result.id) if is_made else None
        body = self._dump(services, caller, result, loaded.expand) if self._dump else b""
        return Answer(status, body, JSON, headers, made)


def _load_parameters(loader: Loader | None, read: Callable[[], Any]) -> dict[str, Any]:
    if loader is None:
        return {}
    try:
        return loader(read())
    except ValidationError as error:
        found = flat_messages(error.messages)
        texts = [f"{name} {text}" for name, messages in found.items() for text in messages]
        raise BadRequest("; ".join(texts)) from None


def bind(
    operations: Iterable[Operation], handlers: Mapping[str, Handler], compiler: Compiler
) -> list[BoundOperation]:
    """Bind every operation to the handler of its id.

    Raises SetupError with all that does not fit: missing handlers, handlers without an operation,
    unknown keywords.
    """
    operations = list(operations)
    problems = [f"operation {op.id!r} has no handler" for op in operations if op.id not in handlers]
    ids = {operation.id for operation in operations}
    problems += [f"handler {name!r} has no operation" for name in sorted(handlers.keys() - ids)]
    problems += sorted(set(_unknown(operations, compiler)))
    if problems:
        raise SetupError("openapi document", problems)
    return [BoundOperation(operation, handlers[operation.id], compiler) for operation in operations]


def _unknown(operations: Iterable[Operation], compiler: Compiler) -> Iterable[str]:
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
