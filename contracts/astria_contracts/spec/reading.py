"""How a server of this API coerces values, by the rules of `openapi.yaml`.

Text is read as the type that the schema names where nothing is lost, numbers are text where text
is wanted, and a blank string or list item counts as absent.
"""

import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

Schema = Mapping[str, Any]
WHOLE = re.compile(r"[+-]?\d{1,300}(\.0+)?")
DECIMAL = re.compile(r"[+-]?\d{1,300}\.\d{1,300}")
BOOLEANS = {**dict.fromkeys(("true", "t", "1", "on", "yes"), True)}
BOOLEANS |= dict.fromkeys(("false", "f", "0", "off", "no"), False)


class Reader:
    """Reads values by the schemas of one document."""

    def __init__(self, document: Mapping[str, Any]):
        self._document = document

    def is_valid(self, schema: Schema, value: Any) -> bool:
        """Whether a value, once read, fits a schema."""
        whole = {**schema, "components": self._document["components"]}
        return jsonschema_rs.is_valid(whole, self.read(schema, value))

    def read(self, schema: Schema, value: Any) -> Any:
        """The value as a server takes it."""
        for part in self.parts(schema):
            kinds = part.get("type", ())
            for kind in [kinds] if isinstance(kinds, str) else kinds:
                value = self._as(kind, part, value)
        return value

    def parts(self, schema: Schema) -> list[Schema]:
        while "$ref" in schema:
            target: Any = self._document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/")]
            schema = {**target, **{key: item for key, item in schema.items() if key != "$ref"}}
        if "allOf" in schema:
            return [part for child in schema["allOf"] for part in self.parts(child)]
        return [schema]

    def _as(self, kind: str, schema: Schema, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        match kind:
            case "object" if isinstance(value, dict):
                known = schema.get("properties", {})
                return {
                    key: self.read(known[key], item) if key in known else item
                    for key, item in value.items()
                    if key not in known or not (is_blank(item) or item is None)
                }
            case "array" if isinstance(value, list):
                return [
                    self.read(schema.get("items", {}), item) for item in value if not is_blank(item)
                ]
            case "string" if is_number:
                return str(value)
            case "boolean" if is_number or isinstance(value, str):
                return BOOLEANS.get(str(value).strip().lower(), value)
            case "integer" | "number" if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
                return int(value.strip().partition(".")[0])
            case "number" if isinstance(value, str) and DECIMAL.fullmatch(value.strip()):
                return float(value)
        return value


def is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()
