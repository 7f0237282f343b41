"""Check a request against the contract: its path, query, headers and body."""

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
    """A request that fits the contract: the handler's arguments, workspace and fields to add."""

    given: Mapping[str, Any]
    workspace: str | None
    expand: Sequence[str]


class Reader:
    """Reads the requests of one operation.

    arguments: the names of its handler's arguments. A body's schema is compiled at its first use.
    """

    def __init__(self, operation: Operation, arguments: Container[str], compiler: Compiler):
        self.operation = operation
        self._compiler = compiler
        self._arguments = arguments
        self._bodies: dict[str, Loader] = {}
        self._path = self._loader("path")
        self._query = self._loader("query")
        self._headers = self._loader("header")
        names = [(p["in"], p["name"]) for p in operation.parameters]
        self._lists = [n.removesuffix("[]") for _, n in names if n.endswith("[]")]
        self._header_names = [name for place, name in names if place == "header"]

    def _loader(self, place: str) -> Loader | None:
        """Return the loader of one place's parameters; `name[]` is read as `name`, as in Rack."""
        parameters = {
            p["name"].removesuffix("[]"): p for p in self.operation.parameters if p["in"] == place
        }
        if not parameters:
            return None
        required = [name for name, parameter in parameters.items() if parameter.get("required")]
        properties = {name: parameter["schema"] for name, parameter in parameters.items()}
        return Loader(
            self._compiler, {"type": "object", "required": required, "properties": properties}
        )

    def load(self, call: Call) -> Loaded:
        """Check a request.

        Raises NotFound for the path, BadRequest for the query, the headers and a body that cannot
        be parsed, Invalid for the body's values.
        """
        values: dict[str, Any] = {}
        if self._path:
            try:
                values |= self._path(dict(call.path))
            except ValidationError:
                raise NotFound from None
        query = _load_parameters(self._query, lambda: self._sent_query(call))
        headers = _load_parameters(self._headers, lambda: self._sent_headers(call))
        values["query"] = query
        if self.operation.request_body:
            values["body"] = self._load_body(call)
        values = {name: value for name, value in values.items() if name in self._arguments}
        return Loaded(values, headers.get(WORKSPACE), query.get("expand", ()))

    def _sent_query(self, call: Call) -> dict[str, Any]:
        """Rails takes `name=man` where `name[]=man` is meant."""
        query = nest(call.query)
        for name in self._lists:
            if isinstance(query.get(name), str):
                query[name] = [query[name]]
        return query

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
            inner = value[wrapper]
            if not self._names_an_attribute or isinstance(read_json_text(inner, dict), dict):
                return value
        return {**value, wrapper: value}

    @cached_property
    def _names_an_attribute(self) -> bool:
        """Whether an attribute has the wrapper's name: a value there that is no object is it.

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
        """Return the loader for the body's content type.

        A missing body is checked as JSON, so that the messages name what is required.
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
        by_name = flat_messages(error.messages)
        texts = [f"{name} {text}" for name, messages in by_name.items() for text in messages]
        raise BadRequest("; ".join(texts)) from None
