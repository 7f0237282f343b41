"""What marshmallow's load and dump give for values that are right, in a fraction of the time.

Only the way is shorter: each value is checked and written by the same field. Where anything is
wrong, marshmallow itself is asked, and tells all of it. tests/spec/test_fast_path.py compares both.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, missing

from astria_emulator.spec.fields import Items, Named, Scalar

PLAIN = frozenset({str, int, float, bool, type(None)})


class Declined(Exception):
    """The short way does not lead there."""


def load(schema: Schema, value: Any) -> dict[str, Any]:
    """As `schema.load(value)`.

    Raises marshmallow's ValidationError, with messages by field.
    """
    try:
        return _load(schema, value)
    except (Declined, ValidationError):
        loaded: dict[str, Any] = schema.load(value)
        return loaded


def dump(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """As `schema.dump(data)`."""
    found = {}
    for name, field in schema.dump_fields.items():
        if name in data:
            value = data[name]
            found[name] = value if type(value) in PLAIN else _written(field, value)
    return found


def _written(field: Any, value: Any) -> Any:
    if type(value) in PLAIN:
        return value
    if isinstance(field, Scalar):
        return field.write(value)
    if isinstance(field, Items):
        return [_written(field.inner, item) for item in value]
    if isinstance(field, fields.Nested):
        return dump(field.schema, value)
    if isinstance(field, Named):
        return {key: _written(field.value_field, item) for key, item in value.items()}
    return value


def _load(schema: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Declined
    for alternatives, _ in schema.needs:
        if not any(all(value.get(name) is not None for name in names) for names in alternatives):
            raise Declined
    if schema.unknown == RAISE and not value.keys() <= schema.load_fields.keys():
        raise Declined
    found = {}
    for name, field in schema.load_fields.items():
        if name in value:
            found[name] = _value(field, value[name])
        elif field.required:
            raise Declined
        elif field.load_default is not missing:
            found[name] = field.load_default
    return found


def _value(field: Any, value: Any) -> Any:
    if value is None:
        if not field.allow_none:
            raise Declined
        return None
    if isinstance(field, Items):
        if not isinstance(value, list) or not field.minimum <= len(value) <= field.maximum:
            raise Declined
        return [_value(field.inner, item) for item in value]
    if isinstance(field, fields.Nested):
        return _load(field.schema, value)
    if isinstance(field, Named):
        if not isinstance(value, dict) or len(value) > field.maximum:
            raise Declined
        name: Any = field.key_field
        return {name.read(key): _value(field.value_field, item) for key, item in value.items()}
    return field.read(value)
