"""The contract as data: its operations, and the schemas of their requests and answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

Schema = Mapping[str, Any]
JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `bodies` and each of `responses` have a schema for each media type; `callbacks` one for each
    name.
    """

    id: str
    method: str
    path: str
    aliases: tuple[str, ...] = ()
    parameters: tuple[Schema, ...] = ()
    wrapper: str = ""
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    body_required: bool = False
    example: Any = None
    responses: Mapping[int, Mapping[str, Schema]] = field(default_factory=dict)
    callbacks: Mapping[str, Schema] = field(default_factory=dict)
    needs_key: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def values(self, path: str) -> dict[str, str] | None:
        """The values of the parameters in a path, if it is this operation's."""
        for known in (self.path, *self.aliases):
            if found := re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", known), path):
                return found.groupdict()
        return None


class Document:
    """`openapi.yaml`, read once."""

    def __init__(self, raw: Mapping[str, Any]):
        self.raw = raw
        self.version = raw["info"]["version"]
        self.operations = {found.id: found for found in self._operations()}

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation of a method and a path, `.json` or not, and the values in the path."""
        bare = path.partition("?")[0].removesuffix("/").removesuffix(".json")
        found = [
            (operation, values)
            for operation in self.operations.values()
            if operation.method == method and (values := operation.values(bare)) is not None
        ]
        return min(found, key=lambda one: len(one[1]), default=None)

    def resolve(self, node: Any) -> Any:
        """The node that a `$ref` points to; keys beside it win."""
        while isinstance(node, Mapping) and "$ref" in node:
            target: Any = self.raw
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/")]
            node = {**target, **{key: item for key, item in node.items() if key != "$ref"}}
        return node

    def flat(self, schema: Schema) -> dict[str, Any]:
        """A schema without `$ref` and `allOf`: properties and what is required together."""
        schema = self.resolve(schema)
        flat: dict[str, Any] = {}
        for part in (*map(self.flat, schema.get("allOf", ())), schema):
            properties = {**flat.get("properties", {}), **part.get("properties", {})}
            required = [*flat.get("required", ()), *part.get("required", ())]
            flat.update({key: item for key, item in part.items() if key != "allOf"})
            flat |= {"properties": properties} if properties else {}
            flat |= {"required": list(dict.fromkeys(required))} if required else {}
        return flat

    def problems(self, schema: Schema, value: Any) -> list[str]:
        """Why a value is not valid by a schema."""
        found = self._validator(json.dumps(schema)).iter_errors(value)
        return [f"{'.'.join(map(str, one.instance_path))}: {one.message}" for one in found]

    def _validator(self, schema: str) -> Any:
        if schema not in self._validators:
            whole = {**json.loads(schema), "components": self.raw["components"]}
            validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
            self._validators[schema] = validator
        return self._validators[schema]

    @cached_property
    def _validators(self) -> dict[str, Any]:
        return {}

    def _operations(self) -> list[Operation]:
        return [
            self._operation(path, method, item)
            for path, item in self.raw["paths"].items()
            for method in METHODS
            if method in item
        ]

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation:
        node = item[method]
        body = self.resolve(node.get("requestBody", {}))
        examples = [
            self.resolve(example).get("value")
            for content in body.get("content", {}).values()
            for example in content.get("examples", {}).values()
        ]
        security = node.get("security", self.raw["security"])
        listed = (*item.get("parameters", ()), *node.get("parameters", ()))
        callbacks = {
            name: next(iter(by_url.values()))["post"]["requestBody"]["content"][JSON]["schema"]
            for name, by_url in node.get("callbacks", {}).items()
        }
        return Operation(
            id=node["operationId"],
            method=method.upper(),
            path=path,
            aliases=tuple(item.get("x-aliases", ())),
            parameters=tuple(map(self.resolve, listed)),
            wrapper=body.get("x-wrapper", ""),
            bodies=_schemas(body),
            body_required=body.get("required", False),
            example=examples[0] if examples else None,
            responses={
                int(status): _schemas(self.resolve(answer))
                for status, answer in node["responses"].items()
            },
            callbacks=callbacks,
            needs_key=all(security) and bool(security),
        )


def _schemas(node: Mapping[str, Any]) -> dict[str, Schema]:
    return {kind: content["schema"] for kind, content in node.get("content", {}).items()}


def contract_path() -> Path:
    """The contract in the checkout, or in the package that the wheel has beside this one."""
    own = Path(__file__).parents[3] / "openapi.yaml"
    return own if own.exists() else Path(__file__).parents[2] / "astria_emulator" / "openapi.yaml"


def read_document() -> Document:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Document(yaml.load(contract_path().read_bytes(), loader))  # noqa: S506 - a safe one
