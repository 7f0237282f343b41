"""Forms as they come: parts in the order sent, and refusals for what cannot be read."""

import contextlib
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import RequestEntityTooLarge

from astria_emulator.errors import BadRequest, TooLarge
from astria_emulator.request import bodies
from astria_emulator.request.bodies import read_multipart, read_urlencoded
from astria_emulator.request.uploads import Upload

LARGE = 1_000_000
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def part(headers: str, content: bytes) -> bytes:
    return b"--b\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, content: bytes) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', content)


def file(name: str, filename: str, content: bytes, content_type: str = "image/png") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return part(f"{disposition}\r\nContent-Type: {content_type}", content)


def read(*parts: bytes) -> list[tuple[str, Any]]:
    return read_multipart(BytesIO(b"".join(parts) + b"--b--\r\n"), "b", LARGE)


# -- urlencoded ----------------------------------------------------------------------------------
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_urlencoded_form_gives_its_fields_in_order(pairs: list[tuple[str, str]]) -> None:
    assert read_urlencoded(urlencode(pairs).encode()) == pairs


def test_urlencoded_form_keeps_blank_values_and_repeated_names() -> None:
    assert read_urlencoded(b"a=&b=1&b=2+3&c") == [("a", ""), ("b", "1"), ("b", "2 3"), ("c", "")]


@pytest.mark.parametrize("body", [b"a=\xff", b"a=%FF", b"%C3=1", b"a=%ED%A0%80"])
def test_urlencoded_form_is_refused_when_it_is_not_utf_8(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid UTF-8"):
        read_urlencoded(body)


def test_urlencoded_form_is_refused_when_it_has_too_many_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "MAX_PARTS", 3)
    assert len(read_urlencoded(b"a&b&c")) == 3
    with pytest.raises(BadRequest, match="more than 3 fields"):
        read_urlencoded(b"a&b&c&d")


# -- multipart -----------------------------------------------------------------------------------
@given(
    st.lists(st.tuples(st.sampled_from(["a", "a[]", "b[c]"]), st.binary(max_size=40)), max_size=5)
)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_multipart_form_gives_its_files_in_order(given_: list[tuple[str, bytes]]) -> None:
    sent = [file(name, f"{at}.png", content) for at, (name, content) in enumerate(given_)]
    assert read(*sent) == [
        (name, Upload(f"{at}.png", "image/png", content))
        for at, (name, content) in enumerate(given_)
    ]


def test_multipart_form_mixes_fields_and_files_in_the_order_sent() -> None:
    found = read(
        field("p[][text]", "zwölf".encode()),
        file("p[][image]", "1.png", b"\x89PNG"),
        field("p[][text]", b""),
    )
    assert found == [
        ("p[][text]", "zwölf"),
        ("p[][image]", Upload("1.png", "image/png", b"\x89PNG")),
        ("p[][text]", ""),
    ]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_multipart_form_reads_the_same_whatever_the_pieces(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = (field("a", b"text\r\n--c\r\n"), file("f", "1.png", b"\r\n-b--\r\n" * 50))
    monkeypatch.setattr(bodies, "CHUNK", size)
    assert read(*sent) == [
        ("a", "text\r\n--c\r\n"),
        ("f", Upload("1.png", "image/png", b"\r\n-b--\r\n" * 50)),
    ]


def test_multipart_form_passes_over_a_file_input_that_was_left_empty() -> None:
    assert read(file("f", "", b""), field("a", b"1")) == [("a", "1")]


@pytest.mark.parametrize(("name", "content"), [("", b"x"), ("1.png", b"")])
def test_multipart_form_keeps_a_file_that_has_a_name_or_content(name: str, content: bytes) -> None:
    assert read(file("f", name, content)) == [("f", Upload(name, "image/png", content))]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("image/png", "image/png"),
        ("image/png; charset=utf-8", "image/png"),
        ("", "application/octet-stream"),
        ("image", "application/octet-stream"),
        ("a/b/c", "application/octet-stream"),
        ("bild/gr\u00fcn", "application/octet-stream"),
        ("image/\x07", "application/octet-stream"),
    ],
)
def test_upload_has_the_content_type_that_was_sent_if_it_is_one(sent: str, kept: str) -> None:
    [(_, upload)] = read(file("f", "1.png", b"x", sent))
    assert upload.content_type == kept


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (part("Content-Disposition: form-data", b"x") + b"--b--\r\n", "no name"),
        (part('Content-Disposition: form-data; name=""', b"x") + b"--b--\r\n", "no name"),
        (part("X: y", b"x") + b"--b--\r\n", "cannot be parsed"),
        (field("a", b"\xff") + b"--b--\r\n", "'a' is not valid UTF-8"),
        (field("a", b"1"), "cannot be parsed"),
        (b"--b\r\nContent-Disposition: form-data; name=a", "cannot be parsed"),
        (b"", "cannot be parsed"),
        (b"nonsense", "cannot be parsed"),
    ],
)
def test_multipart_form_is_refused_when_it_cannot_be_read(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read_multipart(BytesIO(body), "b", LARGE)


def test_multipart_form_is_refused_when_it_has_too_many_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "MAX_PARTS", 2)
    with pytest.raises(TooLarge):
        read(field("a", b"1"), field("b", b"1"), field("c", b"1"))


@pytest.mark.parametrize("make", [lambda data: field("a", data), lambda d: file("a", "1.png", d)])
def test_multipart_form_is_too_large_when_one_part_is(make: Any) -> None:
    sent = make(b"x" * 5) + make(b"y" * 6)
    with pytest.raises(TooLarge):
        read_multipart(BytesIO(sent + b"--b--\r\n"), "b", 5)
    assert len(read_multipart(BytesIO(sent + b"--b--\r\n"), "b", 6)) == 2


def test_multipart_form_is_too_large_when_its_stream_says_so() -> None:
    class Limited(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise RequestEntityTooLarge

    with pytest.raises(TooLarge):
        read_multipart(Limited(), "b", LARGE)


@given(st.binary(max_size=200))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_multipart_form_of_any_bytes_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(read_multipart(BytesIO(b"--b\r\n" + body), "b", LARGE), list)
