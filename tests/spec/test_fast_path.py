"""The short way against marshmallow's own: the same values, or the same refusal."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields

from astria_emulator.spec import fast_path
from astria_emulator.spec.fields import Items, Scalar, types_of
from astria_emulator.spec.openapi import JSON, Node, Spec, default_path
from astria_emulator.spec.schemas import Compiler

SPEC = Spec.read(default_path())
COMPILER = Compiler(SPEC)
BODIES: dict[str, Node] = {
    operation.id: operation.request_body["content"][JSON]["schema"]
    for operation in SPEC.operations
    if operation.request_body
}
ANSWERS: dict[str, Node] = {
    operation.id: schema
    for operation in SPEC.operations
    if (schema := operation.success[1]) and "$ref" in schema
}
OF_TYPE: dict[str, list[Any]] = {
    "string": ["woman", "http://a.test/1", "1:1", ""],
    "integer": [1, 8, 512, -1, 2**70],
    "number": [1, 0.5, 8.0],
    "boolean": [True, False],
}
ANYTHING = st.sampled_from([None, *(value for values in OF_TYPE.values() for value in values)])


def values_for(schema: Node) -> st.SearchStrategy[Any]:
    """Values that mostly fit a schema, and sometimes do not."""
    resolved = SPEC.resolve(schema)
    kinds = types_of(resolved)
    if kinds == ("array",):
        return st.lists(values_for(resolved["items"]), max_size=2) | ANYTHING
    if kinds == ("object",):
        parts = SPEC.object_parts(resolved)
        found = {key: child for part in parts for key, child in part.get("properties", {}).items()}
        needed = {name for part in parts for name in part.get("required", ())}
        optional = {name: values_for(child) for name, child in found.items() if name not in needed}
        required = {name: values_for(found[name]) for name in sorted(needed & found.keys())}
        loose = st.fixed_dictionaries({}, optional=required | optional)
        return st.one_of(*[st.fixed_dictionaries(required, optional=optional)] * 3, loose)
    fitting = resolved.get("enum") or [value for kind in kinds for value in OF_TYPE[kind][:3]]
    return st.one_of(*[st.sampled_from(fitting)] * 7, ANYTHING)


def loaded(load: Any, value: Any) -> Any:
    try:
        return load(value)
    except ValidationError as error:
        return error.messages


@pytest.mark.parametrize("name", BODIES)
def test_short_way_loads_what_the_long_one_does(name: str) -> None:
    schema: Schema = COMPILER.object_class(BODIES[name])()

    @given(values_for(BODIES[name]))
    @settings(derandomize=True, deadline=None, max_examples=150)
    def check(value: Any) -> None:
        found = loaded(lambda given: fast_path.load(schema, given), value)
        assert found == loaded(schema.load, value)
        if isinstance(found, dict):
            assert list(found) == list(loaded(schema.load, value))

    check()


def test_short_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = COMPILER.object_class(BODIES["create_tune"])()
    monkeypatch.setattr(schema, "load", lambda value: pytest.fail("the long way"))
    tune = {"title": "a", "name": "woman", "branch": "fast", "image_urls": ["http://a.test/1"]}
    nested = {"text": "a", "num_images": 2}
    given = {"tune": {**tune, "prompts_attributes": [nested]}}
    assert fast_path.load(schema, given)["tune"]["prompts_attributes"][0]["num_images"] == 2


def filled(field: Any) -> Any:
    """A value with all that a field can hold, and a time wherever a text may be."""
    if isinstance(field, Items):
        return [filled(field.inner), None]
    if isinstance(field, fields.Nested):
        return {name: filled(inner) for name, inner in field.schema.dump_fields.items()}
    if isinstance(field, fields.Dict):
        return {"a": filled(field.value_field), "b": None}
    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ANSWERS)
def test_short_way_dumps_what_the_long_one_does(name: str) -> None:
    schema: Schema = COMPILER.object_class(ANSWERS[name])()
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    plain = [name for name, field in schema.dump_fields.items() if isinstance(field, Scalar)]
    texts = {name: moment if name.endswith("_at") else f"{name} é" for name in plain}
    lists = {
        name: [moment, "b"]
        for name, field in schema.dump_fields.items()
        if isinstance(field, Items) and isinstance(field.inner, Scalar)
    }
    whole = {name: filled(field) for name, field in schema.dump_fields.items()}
    some = ({}, texts | lists, dict.fromkeys(schema.dump_fields), {"unknown": 1, **lists}, whole)
    for data in some:
        found = fast_path.dump(schema, data)
        assert list(found.items()) == list(schema.dump(data).items())
