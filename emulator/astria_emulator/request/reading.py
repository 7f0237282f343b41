"""A request read by the contract: its path, query, headers and body."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from marshmallow import ValidationError

from astria_emulator.errors import BadRequest, Invalid, NotFound, UnsupportedMediaType
from astria_emulator.request.calls import Call, parse_json
from astria_emulator.request.forms import nest
from astria_emulator.spec.coercion import read_json_text
from astria_emulator.spec.loading import Loader
from astria_emulator.spec.openapi import JSON, Node, Operation
from astria_emulator.spec.schemas import Compiler, flat_messages

WORKSPACE = "X-Workspace-Id"


@dataclass(frozen=True)
class Loaded:
    """A request that fits the contract: what the handler is given, and what else counts."""

    given: Mapping[str, Any]
    workspace: str | None
    expand: Sequence[str]


class Reader:
    """Reads the requests of one operation.

    wanted: the names of what its handler takes. Schemas are compiled when they are first needed.
    """

    def __init__(self, operation: Operation, wanted: Container[str], compiler: Compiler):
        self.operation = operation
        self._compiler = compiler
        self._wants = wanted
        self._bodies: dict[str, Loader] = {}
        self._path = self._loader("path")
        self._query = self._loader("query")
        self._headers = self._loader("header")
        names = [(p["in"], p["name"]) for p in operation.parameters]
        self._lists = [n.removesuffix("[]") for _, n in names if n.endswith("[]")]
        self._header_names = [name for place, name in names if place == "header"]

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


def _load_parameters(loader: Loader | None, read: Callable[[], Any]) -> dict[str, Any]:
    if loader is None:
        return {}
    try:
        return loader(read())
    except ValidationError as error:
        found = flat_messages(error.messages)
        texts = [f"{name} {text}" for name, messages in found.items() for text in messages]
        raise BadRequest("; ".join(texts)) from None
