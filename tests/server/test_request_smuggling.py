"""However a proxy in front splits bytes into requests, the server splits them no other way."""

import itertools
import random
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from astria_emulator.server.channel import Channel
from astria_emulator.server.http_server import Server
from tests.server.other_parsers import Split, split_by_h11, split_by_llhttp

HOST = b"Host: a\r\n"
GET = b"GET /tunes HTTP/1.1\r\n" + HOST
POST = b"POST /tunes HTTP/1.1\r\n" + HOST
OLD = b"POST /tunes HTTP/1.0\r\n" + HOST
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
SMUGGLED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(NEXT), NEXT)


def chunked(*fields: bytes, start: bytes = POST, body: bytes = CHUNKS) -> bytes:
    return start + b"".join(fields) + b"\r\n" + body


TAKEN = {
    "nothing": b"",
    "one": GET + b"\r\n",
    "one after empty lines": b"\r\n\r\n" + GET + b"\r\n",
    "one with a length": POST + LENGTH + b"\r\nhello",
    "empty line after a body": POST + LENGTH + b"\r\nhello\r\n",
    "length with zeros before it": POST + b"Content-Length: 0005\r\n\r\nhello",
    "length of zero": GET + b"Content-Length: 0\r\n\r\n",
    "body of a GET": GET + LENGTH + b"\r\nhello",
    "chunks of a GET": chunked(CHUNKED, start=GET),
    "body of a HEAD": GET.replace(b"GET", b"HEAD") + LENGTH + b"\r\nhello",
    "chunks": chunked(CHUNKED),
    "chunks by a capital": chunked(b"TRANSFER-ENCODING:Chunked  \r\n"),
    "chunk with an extension": chunked(CHUNKED, body=b'5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n'),
    "trailer": chunked(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"),
    "HTTP/1.0": OLD + LENGTH + b"\r\nhello",
    "HTTP/1.0 that is kept": OLD + LENGTH + b"Connection: Keep-Alive\r\n\r\nhello",
    "HTTP/1.0 that is kept by a list": OLD + LENGTH + b"Connection: TE, keep-alive\r\n\r\nhello",
    "HTTP/1.0 with other options": OLD + LENGTH + b"Connection: TE, X\r\n\r\nhello",
    "last one": GET + b"Connection: close\r\n\r\n",
    "last one by a list": GET + b"Connection: TE, Close\r\n\r\n",
    "last one by two fields": GET + b"Connection: keep-alive\r\nConnection: close\r\n\r\n",
    "absolute target": b"GET http://a/tunes?b HTTP/1.1\r\n" + HOST + b"\r\n",
    "upgrade": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "all of the server": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
}
REFUSED = {
    "chunks in HTTP/1.0": chunked(CHUNKED, start=OLD),
    "chunks in HTTP/1.0 that is kept": chunked(CHUNKED, b"Connection: keep-alive\r\n", start=OLD),
    "length and chunks": chunked(LENGTH, CHUNKED),
    "chunks and length": chunked(CHUNKED, LENGTH, body=SMUGGLED),
    "chunks and a length of zero": chunked(b"Content-Length: 0\r\n", CHUNKED, body=SMUGGLED),
    "two lengths": POST + LENGTH + b"Content-Length: 6\r\n\r\nhello!",
    "the same length twice": POST + LENGTH * 2 + b"\r\nhello",
    "lengths in a list": POST + b"Content-Length: 5,5\r\n\r\nhello",
    "length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "length with a blank": POST + b"Content-Length: 5 0\r\n\r\nhello",
    "length in other digits": POST + "Content-Length: ٥\r\n\r\nhello".encode(),
    "length with an underline": POST + b"Content-Length: 0_5\r\n\r\nhello",
    "length in hexadecimal": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "empty length": POST + b"Content-Length:\r\n\r\nhello",
    "length of many digits": POST + b"Content-Length: 00000000000000000000000000005\r\n\r\nhello",
    "unknown coding": chunked(b"Transfer-Encoding: xchunked\r\n"),
    "identity": chunked(b"Transfer-Encoding: identity\r\n", LENGTH, body=b"hello"),
    "chunks, then identity": chunked(b"Transfer-Encoding: chunked, identity\r\n"),
    "identity, then chunks": chunked(b"Transfer-Encoding: identity, chunked\r\n"),
    "chunks twice in a list": chunked(b"Transfer-Encoding: chunked, chunked\r\n"),
    "chunks twice": chunked(CHUNKED, CHUNKED),
    "empty coding": chunked(b"Transfer-Encoding:\r\n", body=NEXT),
    "empty coding beside a length": chunked(b"Transfer-Encoding:\r\n", LENGTH, body=b"hello"),
    "coding with a comma": chunked(b"Transfer-Encoding: chunked,\r\n"),
    "coding with a parameter": chunked(b"Transfer-Encoding: chunked;q=1\r\n"),
    "coding in quotes": chunked(b'Transfer-Encoding: "chunked"\r\n'),
    "coding after a vertical tab": chunked(b"Transfer-Encoding: \x0bchunked\r\n"),
    "coding after a tab": chunked(b"Transfer-Encoding:\tchunked\r\n"),
    "coding before a tab": chunked(b"Transfer-Encoding: chunked\t\r\n"),
    "coding on a folded line": chunked(b"Transfer-Encoding:\r\n chunked\r\n"),
    "folded length": POST + b"Content-Length: 5\r\n 0\r\n\r\nhello",
    "folded field": GET + b"X: a\r\n b\r\n\r\n",
    "blank before the first field": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "blank before a colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "blank before a coding's colon": chunked(b"Transfer-Encoding : chunked\r\n"),
    "field without a name": GET + b": a\r\n\r\n",
    "field without a colon": GET + b"Host\r\n\r\n",
    "null in a field": GET + b"X: a\0b\r\n\r\n",
    "null in a name": GET + b"X\0: a\r\n\r\n",
    "null in a target": b"GET /a\0b HTTP/1.1\r\n" + HOST + b"\r\n",
    "control character in a field": GET + b"X: a\x01\r\n\r\n",
    "field ended by LF": GET + b"X: a\nY: b\r\n\r\n",
    "field ended by CR": GET + b"X: a\rY: b\r\n\r\n",
    "head in LF": GET.replace(b"\r\n", b"\n") + b"\n",
    "head that ends in LF LF": GET + b"X: a\n\n",
    "head that ends in LF CR LF": GET + b"X: a\n\r\n",
    "head that ends in CR CR LF": GET + b"X: a\r\r\n\r\n",
    "LF before a request": b"\n" + GET + b"\r\n",
    "CR before a request": b"\r" + GET + b"\r\n",
    "blank before a request": b" " + GET + b"\r\n",
    "blank after an empty line": b"\r\n " + GET + b"\r\n",
    "no version": b"GET /tunes\r\n" + HOST + b"\r\n",
    "blank after the version": b"GET /tunes HTTP/1.1 \r\n" + HOST + b"\r\n",
    "two blanks": b"GET  /tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab for a blank": b"GET\t/tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "blank in a target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "later version": b"GET /tunes HTTP/2.0\r\n" + HOST + b"\r\n",
    "version of two digits": b"GET /tunes HTTP/1.10\r\n" + HOST + b"\r\n",
    "version in small letters": b"GET /tunes http/1.1\r\n" + HOST + b"\r\n",
    "method in small letters": b"get /tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "two hosts": GET + b"Host: b\r\n\r\n",
    "the same host twice": GET + HOST + b"\r\n",
    "no host": b"GET /tunes HTTP/1.1\r\n\r\n",
    "other host in the target": b"GET http://b/tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "user in the target": b"GET http://u@a/tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "target of another scheme": b"GET file://a/tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "target without a slash": b"GET tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /tunes#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "tunnel": b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "tunnel by a path": b"CONNECT /tunes HTTP/1.1\r\n" + HOST + b"\r\n",
    "chunk size with a sign": chunked(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size below zero": chunked(CHUNKED, body=b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size in 0x": chunked(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with an underline": chunked(CHUNKED, body=b"0_5\r\nhello\r\n0\r\n\r\n"),
    "chunk size after a blank": chunked(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk size before a blank": chunked(CHUNKED, body=b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk size ended by LF": chunked(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"),
    "chunk size ended by LF CR LF": chunked(CHUNKED, body=b"5\n\r\nhello\r\n0\r\n\r\n"),
    "chunk size ended by CR CR LF": chunked(CHUNKED, body=b"5\r\r\nhello\r\n0\r\n\r\n"),
    "empty chunk size": chunked(CHUNKED, body=b"\r\n5\r\nhello\r\n0\r\n\r\n"),
    "chunk size that is too long": chunked(CHUNKED, body=b"0" * 17 + b"5\r\nhello\r\n0\r\n\r\n"),
    "extension ended by LF": chunked(CHUNKED, body=b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "extension with CR": chunked(CHUNKED, body=b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "extension without a name": chunked(CHUNKED, body=b"5;\r\nhello\r\n0\r\n\r\n"),
    "extension with a null": chunked(CHUNKED, body=b"5;\0\r\nhello\r\n0\r\n\r\n"),
    "chunk without CR LF": chunked(CHUNKED, body=b"5\r\nhello0\r\n\r\n"),
    "chunk ended by LF": chunked(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n"),
    "chunk that is longer than it says": chunked(CHUNKED, body=b"4\r\nhello\r\n0\r\n\r\n"),
    "request for a trailer": chunked(CHUNKED, body=b"5\r\nhello\r\n0\r\n" + NEXT),
    "length for a trailer": chunked(CHUNKED, body=CHUNKS[:-2] + LENGTH + b"\r\n"),
    "coding for a trailer": chunked(CHUNKED, body=CHUNKS[:-2] + CHUNKED + b"\r\n"),
    "end of a connection for a trailer": chunked(
        CHUNKED, body=CHUNKS[:-2] + b"Connection: close\r\n\r\n"),
    "trailer with a null": chunked(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
    "trailer ended by LF": chunked(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: a\n\r\n\r\n"),
    "last chunk ended by LF": chunked(CHUNKED, body=b"5\r\nhello\r\n0\n\n"),
}  # fmt: skip

SplitByUs = Callable[[Iterable[bytes]], Split]


@pytest.fixture(scope="module")
def split() -> Iterator[SplitByUs]:
    """Splits bytes, which come in pieces, as the server does: up to the application."""
    found = Split()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        method, target = environ["REQUEST_METHOD"].encode(), environ["REQUEST_URI"].encode()
        found.requests.append((method, target, body))
        start_response("200 OK", [("Content-Length", "0")])
        return []

    server = Server(application, "127.0.0.1", 0, max_body=1_000_000)
    inner, read = server._server, list[Any]()
    inner.add_task, inner.pull_trigger = read.append, lambda: None

    def split(pieces: Iterable[bytes]) -> Split:
        nonlocal found
        found = Split()
        here, there = socket.socketpair()
        channel = Channel(inner, here, ("127.0.0.1", 0), inner.adj, map={})
        for piece in pieces:
            channel.received(piece)
            while read:
                read.pop(0).service()
        found.is_closed = channel.close_when_flushed
        channel.handle_close()
        there.close()
        return found

    yield split
    inner.task_dispatcher.shutdown()
    inner.close()


@pytest.mark.parametrize("name", TAKEN)
def test_plain_requests_are_split_as_by_others(split: SplitByUs, name: str) -> None:
    data = TAKEN[name] + NEXT
    theirs = split_by_h11(data)
    assert split([data]) == theirs == split_by_llhttp(data)
    assert split(data[at : at + 1] for at in range(len(data))) == theirs


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_read_after_what_is_refused(split: SplitByUs, name: str) -> None:
    data = GET + b"\r\n" + REFUSED[name] + NEXT
    alone = Split([(b"GET", b"/tunes", b"")], is_closed=True)
    assert split([data]) == alone
    assert split(data[at : at + 1] for at in range(len(data))) == alone


def mutated(seed: int) -> bytes:
    """Requests of both tables, one after the other, with a few bytes changed."""
    rng = random.Random(seed)
    pool = [*TAKEN.values(), *REFUSED.values()]
    data = bytearray(b"".join(rng.choices(pool, k=rng.randint(1, 3))) + NEXT)
    for _ in range(rng.randint(0, 3)):
        at, piece = rng.randrange(len(data)), rng.choice(PIECES)
        data[at : at + rng.choice((0, 0, 1, len(piece)))] = piece
    return bytes(data)


METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE"}
PIECES = [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x85", b"\xa0",
          b":", b",", b";", b"#", b"0", b"1", b"5", b"+", b"_", b"x", b"A", b'"', b"/", b"HTTP/1.0",
          LENGTH, CHUNKED, HOST, b"Connection: close\r\n", b"Connection: keep-alive\r\n", CHUNKS,
          NEXT]  # fmt: skip


@pytest.mark.parametrize("first", range(0, 4000, 400))
def test_changed_requests_are_split_as_by_others_or_refused(split: SplitByUs, first: int) -> None:
    for seed in range(first, first + 400):
        data = mutated(seed)
        ours = split([data])
        same_as(split_by_h11(data), ours)
        # llhttp refuses methods that it does not know.
        same_as(split_by_llhttp(data), up_to(ours, lambda method: method in METHODS))
        at = seed % len(data)
        assert split([data[:at], data[at:]]) == ours, data


def same_as(theirs: Split, ours: Split) -> None:
    """All that we take is taken by others; all that they take, unless we have closed."""
    assert ours.requests == theirs.requests[: len(ours.requests)]
    assert ours.is_closed or ours.requests == theirs.requests


def up_to(ours: Split, is_known: Callable[[bytes], bool]) -> Split:
    known = [*itertools.takewhile(lambda request: is_known(request[0]), ours.requests)]
    return ours if known == ours.requests else Split(known, is_closed=True)
