"""Rack-style form fields -> nested data.

Bracket rules as Rack's `parse_nested_query` has them: `a[b]` is a key, `a[]` adds to a list,
`a[][b]` begins a new element of the list when the last one has `b` already, and `a[0]`, `a[1]` are
the elements of a list where the schema says list (Rack keeps them as keys, Rails reads them as
elements).
"""

import re
from collections.abc import Iterable
from typing import Any

from astria_emulator.errors import BadRequest

MAX_DEPTH = 32  # Rack's own limit is 32 levels of brackets.
_PIECE = re.compile(r"\[([^\[\]]*)\]")


def split_name(name: str) -> list[str]:
    """`tune[images][]` -> `["tune", "images", ""]`; what is no bracket syntax is one plain key."""
    start = name.find("[")
    if start <= 0:
        return [name]
    pieces = _PIECE.findall(name, start)
    return (
        [name[:start], *pieces]
        if name[start:] == "".join(f"[{piece}]" for piece in pieces)
        else [name]
    )


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Build nested data from form fields in the order they were sent.

    Raises BadRequest where one name is used as two things, or nests too deep.
    """
    root: dict[str, Any] = {}
    for name, value in pairs:
        steps = split_name(name)
        if len(steps) > MAX_DEPTH:
            raise BadRequest(f"form field nests deeper than {MAX_DEPTH} levels")
        _store(root, steps, value, name)
    return root


def _store(node: dict[str, Any], steps: list[str], value: Any, name: str) -> None:
    key, rest = steps[0], steps[1:]
    while rest:
        if rest[0] == "":
            items = _expect(node.setdefault(key, []), list, name)
            rest = rest[1:]
            if not rest:
                items.append(value)
                return
            # `[][key]`: a new element begins where the last one has the key already.
            if not items or not isinstance(items[-1], dict) or _has(items[-1], rest):
                items.append({})
            node = items[-1]
        else:
            node = _expect(node.setdefault(key, {}), dict, name)
        key, rest = rest[0], rest[1:]
    node[key] = value


def _has(element: dict[str, Any], steps: list[str]) -> bool:
    """Whether a field would replace a value; another `key[]` only lengthens its list."""
    node: Any = element
    for step in steps:
        if step == "" or not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


def _expect(node: Any, kind: type, name: str) -> Any:
    if not isinstance(node, kind):
        raise BadRequest(f"form field {name[:80]!r} is sent as two kinds of thing")
    return node
