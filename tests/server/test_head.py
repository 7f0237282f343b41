"""No answer to HEAD has a body; its fields are those of the answer to GET."""

import re
import socket
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from urllib3 import encode_multipart_formdata

from astria_emulator.server import channel as channel_module
from tests.server.raw_clients import END, HOST, JSON, KEY, POST, TUNE, Running

ASKED = {
    "list": (b"/tunes", KEY, 200),
    "object": (b"/tunes/690204", KEY, 200),
    "unknown path": (b"/nowhere", KEY, 404),
    "unknown object": (b"/tunes/1", KEY, 404),
    "no key": (b"/tunes", b"", 401),
    "path of another method": (b"/images/inspect", KEY, 405),
    "query that is wrong": (b"/tunes?offset=x", KEY, 400),
    "redirect": (b"/", b"", 302),
    "page": (b"/_emulator/", b"", 200),
    "health": (b"/_emulator/health", b"", 200),
    "archive": (b"/_emulator/state", b"", 200),
    "unknown page": (b"/_emulator/nowhere", b"", 404),
    "head that is wrong": (b"/tunes", b"nonsense\r\n", 400),
    "request line that is wrong": (b"/tunes#a", b"", 400),
    "body that is too large": (b"/tunes", KEY + b"Content-Length: 9999999999\r\n", 413),
    "chunks that are wrong": (b"/tunes", KEY + b"Transfer-Encoding: chunked\r\n", 400),
}  # fmt: skip


def all_of(client: socket.socket) -> tuple[bytes, bytes]:
    """Read an answer up to the end of the connection; return its head and its body."""
    data = b""
    while piece := client.recv(65536):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return re.sub(rb"\r\n(Date|Etag): [^\r]*", b"", head), body


def answer(server: Running, method: bytes, path: bytes, fields: bytes) -> tuple[bytes, bytes]:
    chunk = b"zz\r\n" if b"chunked" in fields else b""
    start = b"%s %s HTTP/1.1\r\n" % (method, path) + HOST + b"Connection: close\r\n"
    with server.connect(start + fields + END + chunk) as client:
        return all_of(client)


@pytest.mark.parametrize("name", ASKED)
def test_answer_to_head_is_that_to_get_without_its_body(running: Any, name: str) -> None:
    path, fields, status = ASKED[name]
    server = running()
    head, body = answer(server, b"GET", path, fields)
    assert head.startswith(b"HTTP/1.%c %d " % (head[7], status))
    assert answer(server, b"HEAD", path, fields) == (head, b"")
    if b"chunked" not in head:
        assert b"\r\nContent-Length: %d" % len(body) in head


def test_head_of_files_has_no_body(running: Any) -> None:
    server = running()
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    form, kind = encode_multipart_formdata(
        {"prompt[text]": "a", "prompt[input_image]": ("1.jpg", out.getvalue())}
    )
    start = POST.replace(b"/tunes", b"/tunes/690204/prompts").replace(JSON, b"")
    lines = b"Content-Type: %s\r\nContent-Length: %d\r\n" % (kind.encode(), len(form))
    status, upload = server.ask(start + lines + END + form)
    assert status == 201
    length = b"Content-Length: %d\r\n" % len(TUNE)
    status, card = server.ask(POST + length + END + TUNE)
    assert status == 201
    for url in (upload["input_image"], card["orig_images"][0]):
        path = url.partition("127.0.0.1")[2].encode()
        head, body = answer(server, b"GET", path, b"")
        assert body
        assert answer(server, b"HEAD", path, b"") == (head, b"")


def test_head_that_drips_is_refused_without_a_body(running: Any, monkeypatch: Any) -> None:
    server = running()
    client = server.connect(b"HEAD /tunes HTTP/1.1\r\n" + HOST)
    assert server.serves()  # what was sent before has been read
    monkeypatch.setattr(channel_module, "HEAD_SECONDS", -1.0)
    client.sendall(b"X")
    head, body = all_of(client)
    assert (head.split()[1], body) == (b"408", b"")


def test_head_that_is_too_large_is_refused_without_a_body(running: Any) -> None:
    start = b"HEAD /tunes HTTP/1.1\r\n" + HOST
    with running().connect(start.ljust(channel_module.HEADER_BYTES, b"a")) as client:
        head, body = all_of(client)
    assert (head.split()[1], body) == (b"431", b"")


def test_head_that_cannot_be_answered_has_no_body(running: Any, caplog: Any) -> None:
    server = running()

    def broken(environ: Any, start_response: Any) -> None:
        raise RuntimeError

    server.server._server.application = broken
    head, body = answer(server, b"HEAD", b"/tunes", KEY)
    assert (head.split()[1], body) == (b"500", b"")
    caplog.clear()


def test_next_answer_follows_that_to_head(running: Any) -> None:
    with running().connect(
        b"HEAD /nowhere HTTP/1.1\r\n" + HOST + END,
        b"GET /tunes HTTP/1.1\r\n" + HOST + KEY + b"Connection: close\r\n" + END,
    ) as client:
        _, after = all_of(client)
    assert after.startswith(b"HTTP/1.1 200 OK\r\n")
    assert after.endswith(b"\r\n\r\n[]")
