"""A request in plain values, and its JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from astria_emulator.errors import BadRequest, TooLarge
from astria_emulator.spec.coercion import check_text, count_values

MAX_NESTING = 100  # Rails' own limit
MOST_VALUES = 250_000  # of JSON, or of texts in forms that may be JSON
TOO_DEEP = f"the JSON body nests deeper than {MAX_NESTING} levels"
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


def parse_json(text: bytes, *, most: int = MOST_VALUES) -> Any:
    """Parse strictly: UTF-8, no NaN, no lone surrogates, no deep nesting.

    most: values that are parsed. Raises BadRequest, and TooLarge where there are more.
    """
    if count_values(text) > most:
        raise TooLarge(f"the JSON has more than {most} values")
    try:
        # Given bytes, `loads` would let half of a surrogate pair pass.
        value = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse)
        check_text(text, value)
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None
    except ValueError as error:
        raise BadRequest(f"the JSON body cannot be parsed: {_reason(error)}") from None
    if _is_deep(value):
        raise BadRequest(TOO_DEEP)
    return value


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_NESTING):
        parts = [item.values() if isinstance(item, dict) else item for item in level]
        level = [item for part in parts for item in part if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeError):
        return "not valid UTF-8 text"
    return str(error)[:100]
