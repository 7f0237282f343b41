"""Rack's bracket rules, and the lossless reading of text as the schema's types."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.errors import BadRequest
from astria_emulator.request.forms import MAX_DEPTH, nest, split_name
from tests.request.form_cases import coerced


# -- names -----------------------------------------------------------------------------------------
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
