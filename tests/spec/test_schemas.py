"""The compiled classes against a JSON Schema implementation of others, and Rails' wording."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.spec.compiled import COMPILER, SPEC, accepts

# What can be sent as JSON: everything but what has file parts.
REQUESTS = (
    "CreateTuneBody", "UpdateTuneBody", "CreatePromptBody", "CreateAnyPromptBody",
    "UpdatePromptBody", "DuplicatePromptBody", "CreatePackBody", "RunPackBody", "InspectImage",
    "CreateThemeBody", "CreateWorkspaceBody", "UpdateWorkspaceBody",
)  # fmt: skip
INT_BOUNDS = {"int32": 2**31, "int64": 2**63}


# -- the judge -------------------------------------------------------------------------------------
def for_judge(node: Any) -> Any:
    """The schema in standard keywords only, with what we mean by two of them.

    `format: int64` is a bound, and null counts as absent for an `anyOf` of `required`.
    """
    if isinstance(node, list):
        return [for_judge(child) for child in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: for_judge(child) for key, child in node.items()}
    if bound := INT_BOUNDS.get(str(node.get("format"))):
        found["allOf"] = [{"minimum": -bound, "maximum": bound - 1}]
    if "x-message" in node and "anyOf" in node:
        given_ = {"not": {"type": "null"}}
        found["anyOf"] = [
            {**option, "properties": dict.fromkeys(option["required"], given_)}
            for option in node["anyOf"]
        ]
    return found


DOCUMENT = for_judge(SPEC.document)


def judge_of(schema: Any) -> Any:
    components = {"components": DOCUMENT["components"]} if "$ref" in json.dumps(schema) else {}
    return jsonschema_rs.Draft202012Validator({**for_judge(schema), **components})


# -- values near a schema --------------------------------------------------------------------------
ASCII = st.characters(codec="ascii")
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 8.0, 1.5, "", " ", "1", "text", "\n", [], {}, [1], {"a": 1}]
)
NUMBERS = [0, 1, 2.0, 8, 64, 4096.0, 64.5, 1e300, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1]


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Values that meet a schema, miss it narrowly, or have nothing to do with it."""
    return values_of_text(json.dumps(SPEC.resolve(schema)))


@cache
def values_of_text(text: str) -> st.SearchStrategy[Any]:
    schema = json.loads(text)
    kinds = schema.get("type", "object")
    choices = []
    if "enum" in schema:
        choices.append(st.sampled_from([*schema["enum"], "flux", 0.0, 1.0, 2, True]))
    elif "pattern" in schema:
        text = st.from_regex(schema["pattern"], fullmatch=False, alphabet=ASCII)
        choices += [text, text.map(lambda found: found + "\n"), st.text(ASCII, max_size=4)]
    elif "string" in kinds:
        choices.append(st.text(max_size=4))
    if {"integer", "number"} & ({kinds} if isinstance(kinds, str) else set(kinds)):
        edges = [schema[key] for key in ("minimum", "maximum", "multipleOf") if key in schema]
        near = [edge + step for edge in edges for step in (-1, 0, 1, 0.5, 0.0)]
        choices.append(st.sampled_from([*near, *NUMBERS]))
    if kinds == "array":
        choices.append(st.lists(values_of(schema["items"]), max_size=2))
    if isinstance(schema.get("additionalProperties"), Mapping):
        inner = values_of(schema["additionalProperties"])
        choices.append(st.dictionaries(st.sampled_from(["a", "b", ""]), inner, max_size=2))
    properties: dict[str, Any] = {}
    needed: set[str] = set()
    for part in SPEC.object_parts(schema):
        properties |= part.get("properties", {})
        needed |= set(part.get("required", ())) | {
            name for option in part.get("anyOf", ()) for name in option.get("required", ())
        }
    if properties:
        choices.append(object_of(properties, needed))
    right = st.one_of(choices)
    return st.one_of(right, right, right, right, right, right, right, JUNK)


def object_of(properties: Mapping[str, Any], needed: set[str]) -> st.SearchStrategy[Any]:
    extra = st.lists(st.sampled_from(sorted(properties)), max_size=3, unique=True)
    left_out = st.sampled_from([None, None, None, None, *sorted(needed)])

    def draw(picked: tuple[list[str], str | None]) -> st.SearchStrategy[Any]:
        keys = (set(picked[0]) | needed) - {picked[1]}
        return st.fixed_dictionaries({key: values_of(properties[key]) for key in sorted(keys)})

    return st.tuples(extra, left_out).flatmap(draw)


@cache
def request_values(name: str) -> st.SearchStrategy[Any]:
    return values_of(SPEC.schema(name)).filter(lambda drawn: isinstance(drawn, dict))


@cache
def request_judge(name: str) -> Any:
    return judge_of(SPEC.schema(name))


@pytest.mark.parametrize("name", REQUESTS)
@given(data=st.data())
@settings(derandomize=True, deadline=None, max_examples=150)
def test_request_class_accepts_what_json_schema_accepts(name: str, data: st.DataObject) -> None:
    value = data.draw(request_values(name))
    errors = COMPILER.object_class({"$ref": f"#/components/schemas/{name}"})().validate(value)
    assert (not errors) is request_judge(name).is_valid(value), errors


def scalars() -> dict[str, Any]:
    """Every property of every request that is not an object or a file, by a name."""
    found: dict[str, Any] = {}

    def walk(schema: Any, where: str) -> None:
        schema = SPEC.resolve(schema)
        for part in SPEC.object_parts(schema):
            for key, child in part.get("properties", {}).items():
                walk(child, key)
        if "items" in schema:
            walk(schema["items"], f"{where}[]")
        elif schema.get("type") != "object" and "allOf" not in schema:
            found[where] = schema

    for name in REQUESTS:
        walk(SPEC.schema(name), name)
    return found


SCALARS = scalars()


@pytest.mark.parametrize("name", sorted(SCALARS))
@given(data=st.data())
@settings(derandomize=True, deadline=None, max_examples=40)
def test_property_accepts_what_json_schema_accepts(name: str, data: st.DataObject) -> None:
    value = data.draw(values_of(SCALARS[name]))
    assert accepts(SCALARS[name], value) is judge_of(SCALARS[name]).is_valid(value)


TRAPS = [
    ({"type": "integer"}, [1, 1.0, -0.0, 1.5, True, "1", None, 1e300]),
    ({"type": ["integer", "null"]}, [1, None, False]),
    ({"type": "number"}, [1, 1.5, True, "1"]),
    ({"type": "boolean"}, [True, 0, 1, "true", None]),
    ({"type": "string"}, ["", 1, b"".decode(), None, ["a"]]),
    ({"type": ["string", "number", "boolean", "null"]}, ["a", 1, True, None, [], {}]),
    ({"type": "integer", "enum": [0, 1]}, [0, 1, 1.0, True, False, 2]),
    ({"type": ["string", "null"], "enum": ["a", None]}, ["a", "b", None]),
    ({"type": "integer", "minimum": 1, "maximum": 8}, [0, 1, 8, 9, 8.0, 9.0]),
    ({"type": "number", "minimum": 0, "maximum": 1}, [-0.1, 0, 1, 1.1]),
    ({"type": "integer", "multipleOf": 8}, [0, 8, 12, 64.0, -8]),
    ({"type": "integer", "format": "int32"}, [2**31 - 1, 2**31, -(2**31), -(2**31) - 1]),
    ({"type": "integer", "format": "int64"}, [2**63 - 1, 2**63, -(2**63), -(2**63) - 1]),
    ({"type": "string", "pattern": "b"}, ["abc", "b", "a"]),
    ({"type": "string", "pattern": "^a"}, ["ab", "ba", "x\na"]),
    ({"type": "string", "pattern": "a$"}, ["ba", "ab", "a\n", "a\nb"]),
    ({"type": "string", "pattern": r"a\$"}, ["a$", "a", "a$\n"]),
    ({"type": "string", "pattern": "^(a|b)$"}, ["a", "b", "a\n"]),
    ({"type": "string", "pattern": r"a\\$"}, ["a\\", "a\\\n", "a"]),
    ({"type": "string", "pattern": "^a$|^b$"}, ["a", "b", "a\n", "b\n"]),
    ({"type": "string", "pattern": "^(a$|b)"}, ["a", "b", "a\n"]),
    ({"type": "string", "pattern": r"^\d+$"}, ["12", "\u0661", "1\n", ""]),
    ({"type": "string", "pattern": r"\S"}, ["a", "", " \t\n"]),
    ({"type": "string", "pattern": r"^\s$"}, [" ", "\u00a0", "\u2003", "\u3000"]),
    ({"type": "array", "items": {"type": "string"}}, [[], ["a"], [1], [None], "a", {}, None]),
    ({"type": "array", "minItems": 1, "items": {"type": "string"}}, [[], ["a"]]),
    ({"type": "array", "maxItems": 1, "items": {"type": "string"}}, [[], ["a"], ["a", "b"]]),
    ({"type": "string", "maxLength": 2}, ["", "ab", "abc", "\U0001f600\U0001f600"]),
    ({"type": ["string", "number"], "maxLength": 2}, ["ab", "abc", 1234]),
    ({"type": ["array", "null"], "items": {"type": "string"}}, [[], None]),
    ({"type": "object", "properties": {}}, [{}, [], "a", None, {"x": 1}]),
    ({"type": ["object", "null"], "properties": {}}, [{}, None]),
    ({"additionalProperties": {"type": "integer"}, "type": "object"}, [{"a": 1}, {"a": ""}, []]),
    (
        {
            "type": "object",
            "maxProperties": 1,
            "propertyNames": {"maxLength": 2},
            "additionalProperties": {"type": "integer", "maximum": 2},
        },
        [{}, {"ab": 1}, {"abc": 1}, {"a": 1, "b": 2}, {"a": 3}],
    ),
    (
        {
            "allOf": [
                {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
                {"type": "object", "properties": {"a": {"type": "integer"}}},
            ]
        },
        [{"a": 1}, {}],
    ),
    (
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}},
                {"type": "object", "required": ["a"], "properties": {"b": {"type": "integer"}}},
            ]
        },
        [{"a": 1}, {}, {"b": 1}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "value"), [(schema, value) for schema, values in TRAPS for value in values]
)
def test_schema_accepts_what_json_schema_accepts(schema: Any, value: Any) -> None:
    assert accepts(schema, value) is judge_of(schema).is_valid(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_number_is_refused_when_it_is_not_finite(value: float) -> None:
    assert not accepts({"type": "number"}, value)
    assert not accepts({"type": "integer"}, value)


def test_integer_is_loaded_as_an_integer_when_it_was_sent_with_a_point() -> None:
    made = COMPILER.object_class({"type": "object", "properties": {"w": {"type": "integer"}}})
    assert repr(made().load({"w": 64.0})) == "{'w': 64}"
