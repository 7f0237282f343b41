"""Requests whose framing is odd, or malformed: how many answers each may get.

RFC 9112: what is ambiguous is refused, and its connection is closed.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KEY = b"Authorization: Bearer sd_fuzz\r\n"
HOST = b"Host: 127.0.0.1\r\n"
CLOSE = b"Connection: close\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /tunes/690204 HTTP/1.1\r\n" + HOST + KEY + b"\r\n"
HUGE_NAME = 50_000  # bytes


@dataclass(frozen=True)
class Case:
    """What is sent on a connection, and what may come back.

    `least`, `most`: final answers. statuses: of all answers, where they are known. half_close: end
    our side after sending. may_wait: the server may wait for more; else it must close.
    """

    sent: bytes
    least: int = 0
    most: int = 1
    statuses: Sequence[str] = ()
    half_close: bool = False
    may_wait: bool = False


def framed(draw: random.Random) -> Case:
    """Return a case of any kind."""
    return draw.choice(KINDS)(draw)


def chunked(draw: random.Random) -> Case:
    """A body in chunks of any size, with extensions and trailers."""
    body, chunks = _body(draw), b""
    while body:
        size = draw.randint(1, len(body))
        extension = draw.choice((b"", b";a", b';a="b;c"', b";" + b"x" * 200))
        chunks += b"%x%b\r\n%b\r\n" % (size, extension, body[:size])
        body = body[size:]
    trailers = draw.choice((b"", b"X-Sum: 1\r\n", b"Content-Length: 5\r\n"))
    head = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + CLOSE + JSON + CHUNKED
    return Case(head + b"\r\n" + chunks + b"0\r\n" + trailers + b"\r\n", least=1)


def broken_chunks(draw: random.Random) -> Case:
    size = draw.choice(
        (b"-5", b"+5", b"0x5", b"5 5", b"", b"g", b"f" * 30, b"5\n", b" 5", b"5;\0", b"5" * 2000)
    )
    head = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + JSON + CHUNKED
    body = size + b"\r\nhello" + draw.choice((b"\r\n", b"", b"\n", b"xx")) + b"0\r\n\r\n"
    return Case(head + b"\r\n" + body, half_close=True)


def two_framings(draw: random.Random) -> Case:
    """A length and chunks, or chunks where there are none: with a request in the body."""
    version = draw.choice((b"1.0", b"1.1"))
    body = b"0\r\n\r\n" + SMUGGLED
    length = b"Content-Length: %d\r\n" % draw.choice((0, 5, len(body)))
    fields = [CHUNKED, length] if version == b"1.1" else [CHUNKED]
    head = b"POST /tunes HTTP/" + version + b"\r\n" + HOST + KEY + b"Connection: keep-alive\r\n"
    return Case(head + b"".join(draw.sample(fields, len(fields))) + b"\r\n" + body)


def odd_encodings(draw: random.Random) -> Case:
    field = draw.choice(
        (
            b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding : chunked", b"Transfer-Encoding:\r\n chunked",
            b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: gzip, chunked",
        )
    )  # fmt: skip
    head = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + field + b"\r\n\r\n"
    return Case(head + b"0\r\n\r\n" + SMUGGLED, most=2, half_close=True)


def odd_lengths(draw: random.Random) -> Case:
    """A length that is no number, or two: with a request in the body."""
    value = draw.choice((b"-1", b"+5", b"0x5", b"5,6", b"5 5", b"1e2", b"", b"9" * 30, b"\xb2"))
    fields = b"Content-Length: " + value + b"\r\n"
    if draw.random() < 0.3:
        fields = b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(SMUGGLED)
    head = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + fields
    return Case(head + b"\r\n" + SMUGGLED, half_close=True)


def odd_lines(draw: random.Random) -> Case:
    """A line of the head that is malformed."""
    line = draw.choice(
        (
            b"A b: c",
            b": d",
            b"no colon",
            b" folded: x",
            b"X: a\rb",
            b"X: a\0b",
            b"\xff: 1",
            b"X:" * 999,
        )
    )
    lines = [b"GET /tunes HTTP/1.1", b"Host: 127.0.0.1", b"X: y", line]
    return Case(b"\r\n".join([*lines, b"", b""]), half_close=True)


def pipelined(draw: random.Random) -> Case:
    """Requests one after the other: each has its own answer, in their order."""
    drawn = [draw.choice(KNOWN) for _ in range(draw.randint(2, 8))]
    sent = b"".join(request for request, _ in drawn)
    last = b"GET /tunes/690204 HTTP/1.1\r\n" + HOST + KEY + CLOSE + b"\r\n"
    statuses = [status for _, status in drawn] + ["200"]
    return Case(sent + last, len(statuses), len(statuses), statuses)


def half_closed(draw: random.Random) -> Case:
    """A whole request or a part of one, and no more."""
    body = _body(draw)
    length = b"Content-Length: %d\r\n" % (len(body) + draw.choice((0, 0, 1, 100_000)))
    sent = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + JSON + length + b"\r\n" + body
    return Case(sent[: draw.choice((len(sent), draw.randrange(len(sent))))], half_close=True)


def expecting(draw: random.Random) -> Case:
    body = _body(draw)
    fields = b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(body)
    head = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + CLOSE + JSON + fields
    return Case(head + b"\r\n" + body, least=1)


def huge_names(draw: random.Random) -> Case:
    """A field of a form with a long name, and one that is nested."""
    name = b"tune[" + draw.choice((b"a" * HUGE_NAME, b"a][" * 31, b"][" * 900, b"%5B" * 900)) + b"]"
    if draw.random() < 0.5:
        kind, body = b"application/x-www-form-urlencoded", name + b"=1"
    else:
        kind = b"multipart/form-data; boundary=b"
        body = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n1\r\n--b--\r\n'
    fields = b"Content-Type: " + kind + b"\r\nContent-Length: %d\r\n" % len(body)
    head = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + CLOSE + fields
    return Case(head + b"\r\n" + body, least=1)


def _body(draw: random.Random) -> bytes:
    return json.dumps({"tune": {"title": "a" * draw.randint(0, 2000)}}).encode()


def _request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\n" + HOST + b"".join(fields) + b"\r\n" + body


# Requests, and the status that each gets.
KNOWN = (
    (_request(b"GET /tunes/690204", KEY), "200"),
    (_request(b"GET /tunes/1", KEY), "404"),
    (_request(b"GET /tunes"), "401"),
    (_request(b"HEAD /tunes/1", KEY), "404"),
    (_request(b"PUT /tunes", KEY, b"Content-Length: 5\r\n", body=b"GET /"), "405"),
    (_request(b"POST /tunes", KEY, JSON, b"Content-Length: 2\r\n", body=b"{}"), "422"),
    (_request(b"POST /tunes", KEY, JSON, CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n"), "422"),
)
KINDS: tuple[Callable[[random.Random], Case], ...] = (
    chunked,
    broken_chunks,
    two_framings,
    odd_encodings,
    odd_lengths,
    odd_lines,
    pipelined,
    half_closed,
    expecting,
    huge_names,
)
