"""An OpenAPI document: resolve references, take `allOf` apart, list operations."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from astria_emulator.errors import SetupError
from astria_emulator.spec.yaml_files import DocumentError, load_yaml

METHODS = ("get", "post", "patch", "put", "delete")
JSON = "application/json"
Node = Mapping[str, Any]


def default_path() -> Path:
    """Where `openapi.yaml` is: in the wheel beside this module, in a checkout at the root."""
    packaged = Path(str(resources.files("astria_emulator") / "openapi.yaml"))
    return packaged if packaged.exists() else Path(__file__).parents[3] / "openapi.yaml"


@dataclass(frozen=True)
class Operation:
    """One method of one path, with its references resolved."""

    id: str
    method: str
    path: str
    aliases: tuple[str, ...]
    parameters: tuple[Node, ...]
    request_body: Node | None
    responses: Mapping[str, Node]
    needs_key: bool

    @property
    def wrapper(self) -> str | None:
        """The key that the body's attributes stand under, such as `tune`."""
        return self.request_body.get("x-wrapper") if self.request_body else None

    @cached_property
    def success(self) -> tuple[int, Node | None]:
        """Status of the first 2xx answer, and the schema of its JSON body if it has one."""
        status = next((code for code in self.responses if code.startswith("2")), None)
        if status is None:
            raise LookupError("has no 2xx response")
        return int(status), self.responses[status].get("content", {}).get(JSON, {}).get("schema")


class Spec:
    """An OpenAPI document whose references can be resolved."""

    def __init__(self, document: Node):
        self.document = document

    @classmethod
    def read(cls, path: Path) -> "Spec":
        """Read a file.

        Raises SetupError.
        """
        try:
            document = load_yaml(path)
        except (OSError, DocumentError) as error:
            raise SetupError(str(path), [str(error)]) from error
        version = document.get("openapi") if isinstance(document, dict) else None
        if not re.fullmatch(r"3\.1\.\d+", str(version)):
            raise SetupError(str(path), ["expected an OpenAPI 3.1 document"])
        return cls(document)

    def resolve(self, node: Node) -> Node:
        """Follow `$ref`. Keywords beside it win, as JSON Schema 2020-12 allows.

        Raises LookupError with the reference that leads nowhere.
        """
        while "$ref" in node:
            reference = node["$ref"]
            target: Any = self.document
            try:
                for step in reference.removeprefix("#/").split("/"):
                    target = target[step.replace("~1", "/").replace("~0", "~")]
            except (KeyError, TypeError):
                raise LookupError(f"{reference!r} leads nowhere") from None
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return node

    def schema(self, name: str) -> Node:
        """A named component schema."""
        return self.resolve({"$ref": f"#/components/schemas/{name}"})

    def object_parts(self, schema: Node) -> list[Node]:
        """Return the object schemas that an `allOf` combines, at any depth, or the schema."""
        schema = self.resolve(schema)
        if "allOf" not in schema:
            return [schema]
        return [part for child in schema["allOf"] for part in self.object_parts(child)]

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All operations.

        Raises SetupError with everything that cannot be resolved.
        """
        operations, problems = [], []
        for method, path, item, node in self._nodes():
            try:
                operations.append(self._operation(method, path, item, node))
            except LookupError as error:
                problems.append(f"{method.upper()} {path}: {error.args[0]}")
        if problems:
            raise SetupError("openapi document", problems)
        return tuple(operations)

    def _nodes(self) -> Iterator[tuple[str, str, Node, Node]]:
        for path, item in self.document.get("paths", {}).items():
            for method in METHODS:
                if method in item:
                    yield method, path, item, item[method]

    def _operation(self, method: str, path: str, item: Node, node: Node) -> Operation:
        if "operationId" not in node:
            raise LookupError("has no operationId")
        security = node.get("security", self.document.get("security", []))
        operation = Operation(
            id=node["operationId"],
            method=method.upper(),
            path=path,
            aliases=tuple(item.get("x-aliases", ())),
            parameters=tuple(
                self.resolve(p) for p in (*item.get("parameters", ()), *node.get("parameters", ()))
            ),
            request_body=self.resolve(node["requestBody"]) if "requestBody" in node else None,
            responses={
                code: self.resolve(response) for code, response in node["responses"].items()
            },
            needs_key=bool(security) and {} not in security,
        )
        operation.success  # noqa: B018 - raises here, at start, when there is none
        return operation
