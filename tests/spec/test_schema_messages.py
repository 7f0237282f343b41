"""Defaults, unknown attributes, the wording of refusals, and what cannot be compiled."""

import copy
import tracemalloc
from typing import Any

import pytest
from marshmallow import ValidationError

from astria_emulator.errors import Message
from astria_emulator.request.uploads import Upload as UploadedFile
from astria_emulator.spec.schemas import Compiler, flat_messages
from tests.spec.compiled import COMPILER, SPEC, accepts


# -- files, defaults, unknown attributes -----------------------------------------------------------
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


# -- wording ---------------------------------------------------------------------------------------
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
        ({"type": "array", "maxItems": 1, "items": {}}, [1, 2], "is too long (maximum is 1)"),
        ({"type": "string", "maxLength": 1}, "ab", "is too long (maximum is 1 characters)"),
        (
            {"type": "object", "maxProperties": 0, "additionalProperties": {"type": "string"}},
            {"a": ""},
            "has too many keys (maximum is 0)",
        ),
        ({"type": "integer", "format": "int32"}, 2**31, "is out of range"),
        ({"type": "integer", "format": "int64"}, 2**63, "is out of range"),
        # `x-message` is what an answer says, whatever has failed but the length.
        (
            {"type": "string", "maxLength": 1, "pattern": "^a", "x-message": "is odd"},
            "bb",
            "is too long (maximum is 1 characters)",
        ),
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


# -- what cannot be compiled -----------------------------------------------------------------------
def test_everything_unknown_in_a_schema_is_listed_at_once() -> None:
    broken = {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "a": {"type": "strnig", "format": "uuid"},
            "b": {
                "type": "array",
                "uniqueItems": True,
                "items": {"type": "string", "minLength": 3},
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
        "It.b.items: unknown keyword 'minLength'",
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


def test_list_that_is_too_long_is_refused_without_a_look_at_its_items() -> None:
    items = {"type": "array", "maxItems": 2, "items": {"type": "string"}}
    made = COMPILER.object_class({"type": "object", "properties": {"it": items}})
    assert made().validate({"it": [1] * 1000}) == {"it": ["is too long (maximum is 2)"]}
