"""Rack's bracket rules, and the lossless reading of text as the schema's types."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.errors import BadRequest
from astria_emulator.request.forms import MAX_DEPTH, nest, split_name
from astria_emulator.spec.coercion import compile_coercion
from astria_emulator.spec.openapi import Spec, default_path

SPEC = Spec.read(default_path())
BODIES = (
    "CreateTuneBody", "CreateTuneForm", "UpdateTuneBody", "CreatePromptBody", "CreatePromptForm",
    "CreateAnyPromptBody", "DuplicatePromptForm", "CreatePackBody", "RunPackForm",
    "CreateThemeBody", "InspectImageForm", "UpdateWorkspaceBody",
)  # fmt: skip
COERCE = {name: compile_coercion(SPEC, SPEC.schema(name)) for name in BODIES}
THING = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "on": {"type": "boolean"},
        "names": {"type": "array", "items": {"type": "string"}},
        "counts": {"type": "array", "items": {"type": "integer"}},
        "some": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "free": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "inner": {"type": "object", "properties": {"count": {"type": "integer"}}},
        "inners": {
            "type": "array",
            "items": {"type": "object", "properties": {"count": {"type": "integer"}}},
        },
        "page": {"type": "integer", "x-clamp": 120},
        "fast": {"type": "boolean", "default": False},
        "maybe": {"type": ["boolean", "null"]},
    },
}


def coerced(value: Any, schema: Any = THING) -> Any:
    return compile_coercion(Spec({}), schema)(value)


# -- names ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("title", ["title"]),
        ("tune[title]", ["tune", "title"]),
        ("tune[images][]", ["tune", "images", ""]),
        ("tune[images][0]", ["tune", "images", "0"]),
        ("tune[prompts_attributes][][text]", ["tune", "prompts_attributes", "", "text"]),
        ("a[b c][d.e]", ["a", "b c", "d.e"]),
        ("a]b[c]", ["a]b", "c"]),
        # What is no bracket syntax is one plain key.
        ("", [""]),
        ("[a]", ["[a]"]),
        ("[]", ["[]"]),
        ("a[b", ["a[b"]),
        ("a]", ["a]"]),
        ("a[b]c", ["a[b]c"]),
        ("a[b]c[d]", ["a[b]c[d]"]),
        ("a[b[c]]", ["a[b[c]]"]),
        ("a[b]]", ["a[b]]"]),
        ("a[[b]]", ["a[[b]]"]),
        ("a[b][", ["a[b]["]),
    ],
)
def test_field_name_splits_at_its_brackets(name: str, steps: list[str]) -> None:
    assert split_name(name) == steps


@pytest.mark.parametrize(
    ("fields", "nested"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        ("a[b]=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[b][]=1&a[b][]=2", {"a": {"b": ["1", "2"]}}),
        ("a[0]=x&a[1]=y", {"a": {"0": "x", "1": "y"}}),
        # A new element begins where the last one has the key already.
        ("a[][x]=1&a[][y]=2", {"a": [{"x": "1", "y": "2"}]}),
        ("a[][x]=1&a[][x]=2", {"a": [{"x": "1"}, {"x": "2"}]}),
        (
            "a[][x]=1&a[][y]=2&a[][x]=3&a[][y]=4",
            {"a": [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]},
        ),
        ("a[][x]=1&a[][x]=2&a[][y]=3", {"a": [{"x": "1"}, {"x": "2", "y": "3"}]}),
        ("a[][b][x]=1&a[][b][x]=3", {"a": [{"b": {"x": "1"}}, {"b": {"x": "3"}}]}),
        # A list within an element only grows.
        ("a[][x]=1&a[][l][]=2&a[][l][]=3", {"a": [{"x": "1", "l": ["2", "3"]}]}),
        ("a[][l][][x]=1&a[][l][][x]=2", {"a": [{"l": [{"x": "1"}, {"x": "2"}]}]}),
        ("a[]=1&a[][x]=2", {"a": ["1", {"x": "2"}]}),
        # Odd brackets are one plain key, and do not conflict with what they look like.
        ("a=1&a[b=2&a[b]c=3", {"a": "1", "a[b": "2", "a[b]c": "3"}),
        ("a[b]=1&a=2", {"a": "2"}),
    ],
)  # fmt: skip
def test_fields_nest_by_racks_rules(fields: str, nested: Any) -> None:
    pairs = [tuple(field.rsplit("=", 1)) for field in fields.split("&") if field]
    assert nest(pairs) == nested  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a[b]"),
        ("a", "a[]"),
        ("a[b]", "a[]"),
        ("a[]", "a[b]"),
        ("a[b]", "a[][c]"),
        ("a[][b]", "a[b]"),
        ("a[b]", "a[b][c]"),
        ("a[b][]", "a[b][c]"),
        ("a[][b]", "a[][b][]", "a[][b][c]"),
    ],
)
def test_field_is_refused_when_its_name_is_used_as_two_kinds_of_thing(names: list[str]) -> None:
    with pytest.raises(BadRequest, match="two kinds of thing"):
        nest([(name, "1") for name in names])


def test_field_may_nest_as_deep_as_racks_limit_and_no_deeper() -> None:
    assert nest([("a" + "[a]" * (MAX_DEPTH - 1), "1")])
    with pytest.raises(BadRequest, match="deeper than 32"):
        nest([("a" + "[a]" * MAX_DEPTH, "1")])


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1, max_size=4
)


def elements(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects of one list; each begins with `id`, by which the next one is told apart."""
    element = st.dictionaries(KEYS.filter(lambda key: key != "id"), values, max_size=2)
    return st.lists(element.map(lambda rest: {"id": "7", **rest}), min_size=1, max_size=3)


VALUES = st.recursive(
    TEXTS,
    lambda inner: (
        st.dictionaries(KEYS, inner, min_size=1, max_size=3)
        | st.lists(TEXTS, min_size=1, max_size=3)
        | elements(inner)
    ),
    max_leaves=8,
)


def fields_of(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from fields_of(child, f"{name}[{key}]")
    elif isinstance(value, list):
        for child in value:
            yield from fields_of(child, f"{name}[]")
    else:
        yield name, value


@given(st.dictionaries(KEYS, VALUES, max_size=3))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_nested_data_comes_back_from_its_bracketed_fields(data: dict[str, Any]) -> None:
    pairs = [pair for key, value in data.items() for pair in fields_of(value, key)]
    assert nest(pairs) == data


@given(
    st.lists(TEXTS.filter(str.strip), min_size=1, max_size=15), st.randoms(use_true_random=False)
)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_indexed_fields_are_a_list_in_the_order_of_their_numbers(
    items: list[str], random: Any
) -> None:
    pairs = [(f"names[{index}]", item) for index, item in enumerate(items)]
    random.shuffle(pairs)
    assert coerced(nest(pairs)) == {"names": items}


# -- types ---------------------------------------------------------------------------------------
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
