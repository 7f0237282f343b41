"""One parser for tokens, flags and characteristics."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.domain.prompt_text import (
    Token,
    fill,
    flags,
    token_for,
    tokens,
    video_fields,
    without_tokens,
    words,
)

PLAIN = st.text(st.sampled_from("ab ,.-é"), max_size=12).filter(lambda text: "--" not in text)
TOKENS = st.builds(
    lambda *token: token,
    st.sampled_from(["lora", "faceid"]),
    st.integers(1, 10**9),
    st.sampled_from([None, 0.5, 1, 1.25, -0.5, 0]),
)
PROPERTY = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<lora:123:0.8> a man", [Token("lora", "123", 0.8)]),
        ("<lora:123:1><faceid:45:1.0>", [Token("lora", "123", 1.0), Token("faceid", "45", 1.0)]),
        ("<faceid:123>", [Token("faceid", "123", 1.0)]),
        ("<lora:add_detail:0.5>", [Token("lora", "add_detail", 0.5)]),
        ("<LoRA:1:.5>", [Token("lora", "1", 0.5)]),
        ("<lora:1:-0.5>", [Token("lora", "1", -0.5)]),
        ("<lora:1:0>", [Token("lora", "1", 0.0)]),
        ("a < b > c", []),
        ("<lora>", []),
        ("<lora:>", []),
        ("<lora:1:>", []),
        ("<lora:1:x>", []),
        ("<lora: 1:1>", []),
        ("<lora:1:1", []),
        ("", []),
    ],
)
def test_tokens_are_found_in_order(text: str, found: list[Token]) -> None:
    assert tokens(text) == found


@pytest.mark.parametrize(
    ("name", "tune_id"),
    [("123", 123), ("add_detail", None), ("12a", None), ("9" * 18, 10**18 - 1), ("9" * 19, None),
     ("1" * 5000, None), ("²", None)],
)  # fmt: skip
def test_token_names_a_tune_where_its_name_is_an_id(name: str, tune_id: int | None) -> None:
    assert Token("lora", name, 1).tune_id == tune_id


@pytest.mark.parametrize(
    ("model_type", "scale", "text"),
    [
        ("faceid", None, "<faceid:7:1>"),
        ("lora", None, "<lora:7:1>"),
        ("pti", None, "<lora:7:1>"),
        ("lora", 0.8, "<lora:7:0.8>"),
        ("lora", 1.0, "<lora:7:1>"),
        ("lora", 0.0, "<lora:7:0>"),
    ],
)
def test_token_is_written_for_a_tune(model_type: str, scale: float | None, text: str) -> None:
    assert token_for(model_type, 7, scale) == text


@given(st.lists(st.tuples(PLAIN, TOKENS), max_size=4), PLAIN)
@PROPERTY
def test_tokens_that_are_written_are_read_and_taken_out_again(pieces: Any, end: str) -> None:
    text = "".join(f"{plain} {token_for(*token)} " for plain, token in pieces) + end
    read = [(token.kind, token.tune_id, token.scale) for token in tokens(text)]
    assert read == [(kind, id, 1 if scale is None else scale) for _, (kind, id, scale) in pieces]
    plain = " ".join(" ".join([*(plain for plain, _ in pieces), end]).split())
    assert words(text) == without_tokens(text) == plain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a man --fast", {"fast": ""}),
        ("--fast", {"fast": ""}),
        ("a --w 512 --h 768 ", {"w": "512", "h": "768"}),
        ("a --video_prompt she smiles --w 8", {"video_prompt": "she smiles", "w": "8"}),
        ('a --video_prompt "she smiles"', {"video_prompt": "she smiles"}),
        ("a --video_prompt 'she smiles'", {"video_prompt": "she smiles"}),
        ("a --video_prompt “she smiles”", {"video_prompt": "she smiles"}),
        ('a --video_prompt "a --b c" --d', {"video_prompt": "a --b c", "d": ""}),
        ('a --x "', {"x": '"'}),
        ("a --x '\"", {"x": "'\""}),
        ("a --x 1 --x 2", {"x": "2"}),
        ("a --X 1", {"x": "1"}),
        ("a--b c", {}),
        ("a -- b", {}),
        ("a --1", {}),
        ("a\n--b\nc", {"b": "c"}),
        ("", {}),
    ],
)  # fmt: skip
def test_flags_are_read_with_their_values(text: str, found: dict[str, str]) -> None:
    assert flags(text) == found


@given(PLAIN, st.dictionaries(st.sampled_from(["w", "video_prompt", "fast"]), PLAIN, max_size=3))
@PROPERTY
def test_flags_that_are_written_are_read_and_are_no_words(
    text: str, given_: dict[str, str]
) -> None:
    written = text + "".join(f' --{name} "{value}"' for name, value in given_.items())
    assert flags(written) == given_
    assert words(written) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<lora:1:1> a  man\n in <faceid:2:1> Rome --w 512", "a man in Rome"),
        ("--video_prompt x", ""),
        ("<lora:1:1>", ""),
        ('a sign that says "go --fast" by the sea', 'a sign that says "go --fast" by the sea'),
    ],
)
def test_words_are_what_is_neither_token_nor_flag(text: str, said: str) -> None:
    assert words(text) == said


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<lora:1:1> a man --w 512", "a man --w 512"),
        ("a <lora:add_detail:0.5> man <faceid:2>", "a <lora:add_detail:0.5> man"),
        ("a  man", "a man"),
    ],
)
def test_tokens_by_id_are_taken_out_and_the_rest_stays(text: str, left: str) -> None:
    assert without_tokens(text) == left


@pytest.mark.parametrize(
    ("text", "known", "filled"),
    [
        ("a {{eye_color}} man", {"eye_color": "blue"}, "a blue man"),
        ("a {{ eye_color }} man", {"eye_color": "blue"}, "a blue man"),
        ("a {{eye color}} man", {"eye color": "blue"}, "a blue man"),
        ("{{age}}", {"age": 30}, "30"),
        ("{{age}}", {"age": 0}, "0"),
        ("[{{age}}]", {"age": None}, "[]"),
        ("[{{age}}]", {}, "[]"),
        ("[{{age}}]", None, "[]"),
        ("{{a}}{{b}}", {"a": "{{b}}", "b": "c"}, "{{b}}c"),
        ("{{a}", {"a": "b"}, "{{a}"),
        ("{a}", {"a": "b"}, "{a}"),
        ("{{a}}", {"a": r"\1 \g<0>"}, r"\1 \g<0>"),
    ],
)
def test_characteristics_fill_their_slots(text: str, known: Any, filled: str) -> None:
    assert fill(text, known) == filled


@given(PLAIN, st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3))
@PROPERTY
def test_text_without_slots_is_left_as_it_is(text: str, known: dict[str, str]) -> None:
    assert fill(text, known) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a man", {}),
        ("a man --duration 5", {}),
        ("a man --video", {"video_model": None, "video_prompt": None}),
        (
            'a --video --video_model wan22_720p --video_prompt "she smiles" --duration 5',
            {"video_model": "wan22_720p", "video_prompt": "she smiles", "video_duration": 5},
        ),
        ("a --video_model x", {"video_model": "x", "video_prompt": None}),
        ("a --video --duration long", {"video_model": None, "video_prompt": None}),
        ("a --video --duration 99999", {"video_model": None, "video_prompt": None}),
    ],
)
def test_older_video_syntax_stands_for_fields(text: str, found: dict[str, Any]) -> None:
    assert video_fields(text) == found
