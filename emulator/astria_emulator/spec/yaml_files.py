"""Read our YAML files. The only door to YAML."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

BOOLEAN = "tag:yaml.org,2002:bool"


class DocumentError(ValueError):
    """The file is not YAML, or has a value that JSON cannot express."""


def load_yaml(path: Path) -> Any:
    """Read a YAML file by the JSON schema of YAML 1.2, with the C loader.

    Timestamps, `no` and `off` stay text. Raises DocumentError, also for values that are not JSON.
    """
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    left_out = ("tag:yaml.org,2002:timestamp", BOOLEAN)
    resolvers = {
        first: [(tag, regexp) for tag, regexp in rules if tag not in left_out]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    for first in "tf":
        resolvers[first] = [*resolvers.get(first, ()), (BOOLEAN, re.compile("true|false"))]
    loader = type("Loader", (base,), {"yaml_implicit_resolvers": resolvers})
    try:
        document = yaml.load(path.read_bytes(), loader)  # noqa: S506 - a safe loader, see above
    except yaml.YAMLError as error:
        raise DocumentError(str(error)) from error
    for problem in _not_json(document, "document"):
        raise DocumentError(problem)
    return document


def _not_json(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"{where}: key {key!r} is not text"
            yield from _not_json(item, f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_json(item, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: {value} is no JSON number"
    elif not isinstance(value, str | int | float | bool | None):
        yield f"{where}: a {type(value).__name__} is no JSON value"
