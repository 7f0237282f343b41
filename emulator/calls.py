"""A request in plain values, and its JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.errors import BadRequest
from emulator.forms import check_text

Pairs = Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Call:
    """A request in plain values.

    `fields` are a form's, files among them; `text` is a JSON body's.
    """

    path: Mapping[str, str]
    query: Pairs
    headers: Mapping[str, str]
    content_type: str = ""
    fields: Pairs = ()
    text: bytes = b""
    has_body: bool = False


def parse_json(text: bytes) -> Any:
    """Parse strictly: UTF-8, no NaN, no lone surrogates.

    Raises BadRequest.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
        check_text(text, value)
        return value
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the JSON body cannot be parsed: {_reason(error)}") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeError):
        return "not valid UTF-8 text"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)[:100]
