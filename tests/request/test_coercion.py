"""Text is read as the types of a schema."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.request.forms import nest
from astria_emulator.spec.coercion import compile_coercion
from astria_emulator.spec.openapi import Spec, default_path
from tests.request.form_cases import coerced

SPEC = Spec.read(default_path())
BODIES = (
    "CreateTuneBody", "CreateTuneForm", "UpdateTuneBody", "CreatePromptBody", "CreatePromptForm",
    "CreateAnyPromptBody", "DuplicatePromptForm", "CreatePackBody", "RunPackForm",
    "CreateThemeBody", "InspectImageForm", "UpdateWorkspaceBody",
)  # fmt: skip
COERCE = {name: compile_coercion(SPEC, SPEC.schema(name)) for name in BODIES}


# -- types -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "sent", "read"),
    [
        ("count", "12", 12),
        ("count", " 12 ", 12),
        ("count", "-3", -3),
        ("count", "+3", 3),
        ("count", "007", 7),
        ("count", "1.0", 1),
        ("count", "1.000", 1),
        ("count", "9007199254740993", 9007199254740993),
        ("count", "1.5", "1.5"),
        ("count", "1e3", "1e3"),
        ("count", "twelve", "twelve"),
        ("count", "1_000", "1_000"),
        ("count", "\u0661", "\u0661"),
        ("count", "0x10", "0x10"),
        ("count", "9" * 5000, "9" * 5000),
        ("count", 1.5, 1.5),
        ("count", True, True),
        ("ratio", "1.5", 1.5),
        ("ratio", "12", 12),
        ("ratio", ".5", 0.5),
        ("ratio", "5.", 5.0),
        ("ratio", "-1e-2", -0.01),
        ("ratio", "nan", "nan"),
        ("ratio", "inf", "inf"),
        ("ratio", "1,5", "1,5"),
        ("ratio", 2, 2),
        ("ratio", "9007199254740993", 9007199254740993),
        ("on", "true", True),
        ("on", "True", True),
        ("on", "TRUE", True),
        ("on", "t", True),
        ("on", "1", True),
        ("on", "on", True),
        ("on", "yes", True),
        ("on", " true ", True),
        ("on", 1, True),
        ("on", True, True),
        ("on", "false", False),
        ("on", "False", False),
        ("on", "f", False),
        ("on", "0", False),
        ("on", "off", False),
        ("on", "no", False),
        ("on", 0, False),
        ("on", "2", "2"),
        ("on", "maybe", "maybe"),
        ("on", 2, 2),
        ("on", [], []),
        ("maybe", "1", True),
        ("maybe", None, None),
        ("text", "12", "12"),
        ("text", 12, "12"),
        ("text", 1.5, "1.5"),
        ("text", True, True),
        ("text", " a ", " a "),
        ("names", ["a", 1], ["a", "1"]),
        ("names", {"1": "b", "0": "a", "10": "c"}, ["a", "b", "c"]),
        ("names", {"0": "a", "x": "b"}, {"0": "a", "x": "b"}),
        ("names", {}, {}),
        ("names", '["a", "b"]', ["a", "b"]),
        ("names", '{"a": 1}', '{"a": 1}'),
        ("names", "a", "a"),
        ("names", [], []),
        ("names", ["", "  "], []),
        ("names", ["", "a"], ["a"]),
        ("counts", ["1", "2.0", "x", "", None], [1, 2, "x", None]),
        ("free", '{"eye_color": "blue"}', {"eye_color": "blue"}),
        ("free", {"eye_color": ""}, {"eye_color": ""}),
        ("free", "[1]", "[1]"),
        ("free", "{", "{"),
        ("free", None, None),
        ("inner", {"count": "12"}, {"count": 12}),
        ("inner", '{"count": "12"}', {"count": 12}),
        ("inner", {"count": "12", "other": 1}, {"count": 12}),
        ("inners", [{"count": "1"}, {"count": ""}], [{"count": 1}, {}]),
        ("inners", {"1": {"count": "2"}, "0": {"count": "1"}}, [{"count": 1}, {"count": 2}]),
        ("inners", '[{"count": "1"}]', [{"count": 1}]),
        ("page", "500", 120),
        ("page", 500, 120),
        ("page", "20", 20),
        ("page", 500.0, 120),
        ("page", "many", "many"),
    ],
)  # fmt: skip
def test_text_is_read_as_the_schemas_type_where_nothing_is_lost(
    key: str, sent: Any, read: Any
) -> None:
    found = coerced({key: sent})[key]
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    "sent",
    [{"text": ""}, {"text": " \t\n"}, {"count": ""}, {"names": ""}, {"inner": ""}, {"free": ""},
     {"some": [""]}, {"some": []}, {"fast": None}, {"unknown": 1}],
)  # fmt: skip
def test_attribute_is_dropped_when_it_says_nothing(sent: Any) -> None:
    assert coerced(sent) == {}


@pytest.mark.parametrize("value", [None, 1, 1.5, True, "text", "[1]", [], ["a"]])
def test_value_is_left_as_it_is_when_the_schema_says_object(value: Any) -> None:
    assert coerced(value) is value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", " ", "12", "1.0", "1e999", "true", "[]", "{}", "[" * 2000, '{"a": [1]}'])
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["0", "1", "\u0663", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def near(schema: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that have a schema's keys and any kind of value under them."""
    schema = SPEC.resolve(schema)
    names = [part.get("properties", {}) for part in SPEC.object_parts(schema)]
    children = {key: child for part in names for key, child in part.items()}
    if children and depth < 3:
        picked = st.lists(st.sampled_from(sorted(children)), max_size=4, unique=True)
        made = picked.flatmap(
            lambda keys: st.fixed_dictionaries({k: near(children[k], depth + 1) for k in keys})
        )
        return made | made.map(json.dumps) | JSON
    if "items" in schema and depth < 3:
        items = st.lists(near(schema["items"], depth + 1), max_size=3)
        return items | items.map(json.dumps) | JSON
    return JSON


@pytest.mark.parametrize("name", BODIES)
@given(data=st.data())
@settings(derandomize=True, deadline=None, max_examples=40)
def test_coercion_raises_nothing_and_changes_nothing_the_second_time(
    name: str, data: st.DataObject
) -> None:
    once = COERCE[name](data.draw(near(SPEC.schema(name))))
    assert repr(COERCE[name](once)) == repr(once)


def test_coercion_raises_nothing_when_an_index_has_thousands_of_digits() -> None:
    coerced({"names": {"1" * 5000: "a"}})


def test_json_text_in_a_field_is_refused_when_it_holds_a_lone_surrogate(api: Any) -> None:
    sent = {"prompt": '{"text": "ohwx \\ud800"}'}
    assert api.call("POST", "/tunes/690204/prompts", data=sent).status_code in (400, 422)


def test_form_of_a_tune_reads_like_its_json() -> None:
    sent = nest(
        [
            ("tune[title]", "Jane"),
            ("tune[name]", "woman"),
            ("tune[base_tune_id]", "690204"),
            ("tune[steps]", ""),
            ("tune[face_crop]", "on"),
            ("tune[characteristics][eye_color]", "blue eyes"),
            ("tune[image_urls][1]", "https://example.com/2.jpg"),
            ("tune[image_urls][0]", "https://example.com/1.jpg"),
            ("tune[prompts_attributes][][text]", "one"),
            ("tune[prompts_attributes][][num_images]", "2"),
            ("tune[prompts_attributes][][text]", "two"),
            ("commit", "Create"),
        ]
    )
    assert COERCE["CreateTuneBody"](sent) == {
        "tune": {
            "title": "Jane",
            "name": "woman",
            "base_tune_id": 690204,
            "face_crop": True,
            "characteristics": {"eye_color": "blue eyes"},
            "image_urls": ["https://example.com/1.jpg", "https://example.com/2.jpg"],
            "prompts_attributes": [{"text": "one", "num_images": 2}, {"text": "two"}],
        }
    }
