"""The compiled classes against a JSON Schema implementation of others, and Rails' wording."""

import copy
import json
import tracemalloc
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from astria_emulator.errors import Message
from astria_emulator.request.uploads import Upload as UploadedFile
from astria_emulator.spec.openapi import Spec, default_path
from astria_emulator.spec.schemas import Compiler, flat_messages

SPEC = Spec.read(default_path())
COMPILER = Compiler(SPEC)
# What can be sent as JSON: everything but what has file parts.
REQUESTS = (
    "CreateTuneBody", "UpdateTuneBody", "CreatePromptBody", "CreateAnyPromptBody",
    "UpdatePromptBody", "DuplicatePromptBody", "CreatePackBody", "RunPackBody", "InspectImage",
    "CreateThemeBody", "CreateWorkspaceBody", "UpdateWorkspaceBody",
)  # fmt: skip
INT_BOUNDS = {"int32": 2**31, "int64": 2**63}


# -- the judge -----------------------------------------------------------------------------------
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


def accepts(schema: Any, value: Any) -> bool:
    """Whether the compiled class takes a value as the property `it` of an object."""
    made = COMPILER.object_class({"type": "object", "properties": {"it": schema}})
    return not made().validate({"it": value})


# -- values near a schema ------------------------------------------------------------------------
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
    ({"type": ["array", "null"], "items": {"type": "string"}}, [[], None]),
    ({"type": "object", "properties": {}}, [{}, [], "a", None, {"x": 1}]),
    ({"type": ["object", "null"], "properties": {}}, [{}, None]),
    ({"additionalProperties": {"type": "integer"}, "type": "object"}, [{"a": 1}, {"a": ""}, []]),
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


# -- files, defaults, unknown attributes ---------------------------------------------------------
@pytest.mark.parametrize("value", ["a", 1, 1.5, True, [], {}])
def test_file_is_refused_when_it_is_no_file_part(value: Any) -> None:
    made = COMPILER.object_class({"properties": {"it": {"$ref": "#/components/schemas/File"}}})
    assert made().validate({"it": value}) == {"it": ["is not a file"]}


def test_file_is_handed_on_as_it_is() -> None:
    upload = UploadedFile("1.png", "image/png", b"x")
    made = COMPILER.object_class({"properties": {"it": {"$ref": "#/components/schemas/File"}}})
    assert made().load({"it": upload})["it"] is upload


def test_unknown_attributes_are_dropped_at_every_depth() -> None:
    made = COMPILER.object_class({"$ref": "#/components/schemas/CreateTuneBody"})
    prompt = {"text": "a", "nonsense": 1}
    tune = {"title": "a", "name": "man", "image_urls": ["https://x"], "nonsense": 1}
    loaded = made().load({"tune": {**tune, "prompts_attributes": [prompt]}, "commit": "Create"})
    assert "nonsense" not in repr(loaded)
    assert loaded.keys() == {"tune"}


def test_defaults_are_filled_in_and_given_values_win() -> None:
    made = COMPILER.object_class({"$ref": "#/components/schemas/CreatePromptBody"})
    loaded = made().load({"prompt": {"text": "a", "num_images": 2}})["prompt"]
    assert loaded == {
        "text": "a", "num_images": 2, "super_resolution": False, "ar": "1:1",
        "prompt_expansion": False, "controlnet_txt2img": False, "video_audio": False,
    }  # fmt: skip


def test_component_is_compiled_once() -> None:
    reference = {"$ref": "#/components/schemas/CreateTuneBody"}
    assert COMPILER.object_class(reference) is COMPILER.object_class(reference)


def test_property_names_are_those_of_all_parts() -> None:
    names = COMPILER.property_names({"$ref": "#/components/schemas/NestedPrompt"})
    assert {"text", "lora_scale", "num_images"} <= names
    assert "input_image" not in names


# -- wording -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, 1, "is not a string"),
        ({"type": "integer"}, "1.5", "must be an integer"),
        ({"type": "number"}, "a", "is not a number"),
        ({"type": "boolean"}, "a", "is not a boolean"),
        ({"type": "array", "items": {"type": "string"}}, 1, "is not an array"),
        ({"type": "object", "properties": {}}, 1, "is not an object"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, 1, "is not an object"),
        ({"type": "string"}, None, "can't be blank"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "is not included in the list"),
        ({"type": "integer", "minimum": 1}, 0, "must be greater than or equal to 1"),
        ({"type": "integer", "maximum": 8}, 9, "must be less than or equal to 8"),
        ({"type": "integer", "multipleOf": 8}, 9, "must be a multiple of 8"),
        ({"type": "string", "pattern": "^a"}, "b", "is invalid"),
        ({"type": "array", "minItems": 2, "items": {}}, [], "is too short (minimum is 2)"),
        ({"type": "integer", "format": "int32"}, 2**31, "is out of range"),
        ({"type": "integer", "format": "int64"}, 2**63, "is out of range"),
        # `x-message` is what an answer says, whatever has failed.
        ({"type": "string", "pattern": "^a", "x-message": "is odd"}, "b", "is odd"),
        ({"type": "string", "pattern": "^a", "x-message": "is odd"}, 1, "is odd"),
        ({"type": "integer", "maximum": 1, "x-message": "is odd"}, 2, "is odd"),
        ({"type": "array", "items": {"type": "string"}}, [None], "can't be blank"),
    ],
)
def test_refusal_is_worded_as_rails_words_it(schema: Any, value: Any, message: str) -> None:
    made = COMPILER.object_class({"type": "object", "properties": {"it": schema}})
    assert flat_messages(made().validate({"it": value})) == {"it": [message]}


def test_attribute_that_is_needed_and_not_sent_cannot_be_blank() -> None:
    made = COMPILER.object_class({"required": ["a"], "properties": {"a": {"type": "string"}}})
    assert made().validate({}) == {"a": ["can't be blank"]}


def test_required_name_is_listed_when_it_has_no_property() -> None:
    broken = {"type": "object", "required": ["b"], "properties": {"a": {"type": "string"}}}
    assert list(COMPILER.lost_names(broken, "It"))


@pytest.mark.parametrize("given_", [{}, {"a": None}, {"c": 1}])
def test_message_of_an_object_stands_under_the_fields_that_it_names(given_: Any) -> None:
    schema = {
        "type": "object",
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        "x-message": {"images": "must contain at least one image"},
        "properties": {"a": {"type": ["integer", "null"]}, "b": {"type": "integer"}},
    }
    made = COMPILER.object_class(schema)
    assert made().validate(given_) == {"images": ["must contain at least one image"]}
    assert made().validate({**given_, "b": 1}) == {}


def test_refusal_explains_to_the_log_what_was_sent_and_what_would_do() -> None:
    schema = {"type": "object", "properties": {"it": {"type": "string", "enum": ["a", "b"]}}}
    with pytest.raises(ValidationError) as refused:
        COMPILER.object_class(schema)().load({"it": "c"})
    [message] = refused.value.messages["it"]  # type: ignore[call-overload]
    assert isinstance(message, Message)
    assert message.explanation == "got 'c': expected one of a, b"


def test_explanation_does_not_show_free_text() -> None:
    schema = {"type": "object", "properties": {"it": {"type": "string", "pattern": "^a"}}}
    with pytest.raises(ValidationError) as refused:
        COMPILER.object_class(schema)().load({"it": "secret"})
    assert "secret" not in refused.value.messages["it"][0].explanation  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        ({}, {}),
        ({"title": ["a", "b"]}, {"title": ["a", "b"]}),
        ({"title": ["a", "a"]}, {"title": ["a"]}),
        ({"_schema": ["a"]}, {"base": ["a"]}),
        ({"prompts_attributes": {0: {"text": ["a"]}}}, {"prompts.text": ["a"]}),
        ({"prompts_attributes": {0: {"text": ["a"]}, 3: {"text": ["a"]}}}, {"prompts.text": ["a"]}),
        ({"prompts_attributes": {1: {"text": ["a"]}, 2: {"w": ["b"]}}},
         {"prompts.text": ["a"], "prompts.w": ["b"]}),
        ({"prompts_attributes": ["is not an array"]}, {"prompts_attributes": ["is not an array"]}),
        ({"prompt_attributes": {"w": ["a"]}}, {"prompt_attributes.w": ["a"]}),
        ({"image_urls": {0: ["a"], 1: ["a"], 2: ["b"]}}, {"image_urls": ["a", "b"]}),
        ({"characteristics": {"eye": {"value": ["a"]}}}, {"characteristics.eye": ["a"]}),
        ({"prompt": {"_schema": ["a"]}}, {"prompt": ["a"]}),
    ],
)  # fmt: skip
def test_nested_messages_become_rails_flat_hash(nested: Any, flat: Any) -> None:
    assert flat_messages(nested) == flat


def test_messages_of_a_tune_name_its_prompts_fields() -> None:
    made = COMPILER.object_class({"$ref": "#/components/schemas/CreateTune"})
    sent = {"title": "", "prompts_attributes": [{"text": "a"}, {"num_images": 9}]}
    assert flat_messages(made().validate(sent)) == {
        "title": ["can't be blank"],
        "name": ["can't be blank"],
        "images": ["must contain at least one image"],
        "prompts.num_images": ["must be less than or equal to 8"],
        "prompts.text": ["can't be blank"],
    }


# -- what cannot be compiled ---------------------------------------------------------------------
def test_everything_unknown_in_a_schema_is_listed_at_once() -> None:
    broken = {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "a": {"type": "strnig", "format": "uuid"},
            "b": {
                "type": "array",
                "uniqueItems": True,
                "items": {"type": "string", "maxLength": 3},
            },
            "c": {"$ref": "#/components/schemas/Missing"},
            "d": {"additionalProperties": {"type": ["string", "decimal"], "const": 1}},
            "e": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "f": {"allOf": [{"type": "object"}, {"oneOf": []}]},
            "g": {"type": "string", "pattern": "^a", "x-message": "is fine"},
        },
    }
    assert sorted(COMPILER.unknown_keywords(broken, "It")) == [
        "It.a: unknown format 'uuid'",
        "It.a: unknown type 'strnig'",
        "It.b.items: unknown keyword 'maxLength'",
        "It.b: unknown keyword 'uniqueItems'",
        "It.c: '#/components/schemas/Missing' leads nowhere",
        "It.d.additionalProperties: unknown keyword 'const'",
        "It.d.additionalProperties: unknown type 'decimal'",
        "It.e: anyOf holds alternatives of `required`, or references",
        "It.e: anyOf holds alternatives of `required`, or references",
        "It.f.allOf[1]: unknown keyword 'oneOf'",
        "It: unknown keyword 'minProperties'",
    ]


def test_reference_among_alternatives_is_listed_when_it_leads_nowhere() -> None:
    broken = {"anyOf": [{"$ref": "#/components/schemas/Missing"}]}
    assert list(COMPILER.unknown_keywords(broken, "It"))


def test_pattern_is_listed_when_it_does_not_compile() -> None:
    broken = {"type": "string", "pattern": "("}
    assert list(COMPILER.unknown_keywords(broken, "It"))


def test_contract_has_nothing_unknown() -> None:
    for name, schema in SPEC.document["components"]["schemas"].items():
        assert list(COMPILER.unknown_keywords(schema, name)) == []


def test_compiling_leaves_the_document_as_it_was() -> None:
    before = copy.deepcopy(SPEC.document)
    for name in SPEC.document["components"]["schemas"]:
        if "anyOf" not in SPEC.schema(name):
            Compiler(SPEC).object_class({"$ref": f"#/components/schemas/{name}"})
    assert SPEC.document == before


def test_long_text_is_matched_without_a_mark_for_each_round() -> None:
    schema = {"type": "string", "pattern": "^a,([A-Z]{4})*([A-Z]{2}==)?$"}
    text = "a," + "A" * 1_000_000
    tracemalloc.start()
    try:
        assert accepts(schema, text)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # bytes; 35 million with marks
    finally:
        tracemalloc.stop()
