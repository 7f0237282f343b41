"""Connections that stall, flood and lie: each is refused or closed, and the server serves on."""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from urllib3 import encode_multipart_formdata

from astria_emulator.server import channel as channel_module
from astria_emulator.server import http_server as server_module
from astria_emulator.server.http_server import Server
from tests import PATIENCE_SECONDS, wait_until

KEY = b"Authorization: Bearer sd_test\r\n"
HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + JSON + b"Transfer-Encoding: chunked\r\n"
POST = b"POST /tunes HTTP/1.1\r\n" + HOST + KEY + JSON
GET = b"GET /tunes HTTP/1.1\r\n" + HOST + KEY
END = b"\r\n"
TUNE = json.dumps(
    {"tune": {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}}
).encode()
MEGABYTE = 1_000_000


class Running:
    """A server in a thread, and clients of it."""

    def __init__(self, app: Any, opened: ExitStack):
        limit = app.services.config.max_body_mb * MEGABYTE
        self.server = Server(app, "127.0.0.1", 0, max_body=limit)
        self._opened = opened
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()

    def connect(self, *sent: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE_SECONDS)
        self._opened.enter_context(client)
        for data in sent:
            client.sendall(data)
        return client

    def ask(self, *sent: bytes) -> tuple[int, Any]:
        """Status and JSON of the answer to these bytes; 0 where the connection was closed."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError):  # it was answered before all was sent
                for data in sent:
                    client.sendall(data)
            return answer_of(client)

    def serves(self) -> bool:
        return self.ask(GET + END) == (200, [])

    def at_idle(self, seconds: float = 10 * server_module.IDLE_SECONDS) -> None:
        """Have it look for stalled clients as if nothing had come for long."""
        inner, done = self.server._server, threading.Event()

        def look(now: float) -> None:
            inner.maintenance = self.server.close_stalled
            self.server.close_stalled(now + seconds)
            done.set()

        inner.maintenance, inner.next_channel_cleanup = look, 0
        inner.pull_trigger()
        assert done.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        self.server.stop()
        self._thread.join()


def answer_of(client: socket.socket) -> tuple[int, Any]:
    stream = client.makefile("rb")
    try:
        line = stream.readline()
        while line.startswith(b"HTTP/1.1 100"):
            stream.readline()
            line = stream.readline()
        if not line:
            return 0, None
        headers = {}
        while header := stream.readline().strip():
            name, _, value = header.partition(b":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get(b"content-length", 0)))
    except ConnectionError:
        return 0, None
    finally:
        stream.close()
    is_json = headers.get(b"content-type") == b"application/json"
    return int(line.split()[1]), json.loads(body) if is_json else body


@pytest.fixture
def running(make_app: Any, caplog: Any) -> Iterator[Callable[..., Running]]:
    """Starts servers; afterwards no error may stand in the log."""
    caplog.set_level(logging.INFO)
    started: list[Running] = []
    with ExitStack() as opened:

        def start(**given: Any) -> Running:
            started.append(Running(make_app(**given), opened))
            return started[-1]

        yield start
    for one in started:
        one.stop()
    loud = [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert [r.getMessage() for r in loud] == []


# -- heads and bodies that are wrong ---------------------------------------------------------------
LARGE = "Request Header Fields Too Large"
WRONG = {
    "one huge header": (GET + b"X: " + b"a" * 70_000 + END + END, 431, LARGE),
    "many headers": (GET + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + END, 431, LARGE),
    "header without an end": (GET + b"X: " + b"a" * 200_000, 431, LARGE),
    "huge request line": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + END, 431, LARGE),
    "header without a colon": (GET + b"nonsense\r\n" + END, 400, "Invalid header"),
    "null in a header": (GET + b"X: a\0b\r\n" + END, 400, "Invalid header"),
    "space before a colon": (GET + b"X : a\r\n" + END, 400, "Invalid header"),
    "bare line feed": (GET + b"X: a\nY: b\r\n" + END, 400, "Bare CR or LF"),
    "no request line": (b"\x16\x03\x01\x02\0\x01\0\r\n\r\n", 400, "Start line is invalid"),
    "one word": (b"nonsense\r\n" + END, 400, "Start line is invalid"),
    "bracket in the target": (b"GET http://[ HTTP/1.1\r\n" + HOST + END, 400, "cannot be read"),
    "length below zero": (POST + b"Content-Length: -1\r\n" + END, 400, "Content-Length is invalid"),
    "length with a sign": (POST + b"Content-Length: +1\r\n" + END, 400, "Content-Length is"),
    "length in words": (POST + b"Content-Length: ten\r\n" + END, 400, "Content-Length is invalid"),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n" + END, 400, "Content-"),
    "list of lengths": (POST + b"Content-Length: 5, 5\r\n" + END, 400, "Content-Length is invalid"),
    "length of many digits": (POST + b"Content-Length: " + b"9" * 5000 + END * 2, 400, "be read"),
    "length beyond the limit": (POST + b"Content-Length: 9999999999\r\n" + END, 413, "Payload Too"),
    "expected body beyond the limit": (
        POST + b"Expect: 100-continue\r\nContent-Length: 9999999999\r\n" + END, 413, "Payload Too"),
    "unknown encoding": (POST + b"Transfer-Encoding: gzip\r\n" + END, 400, "encoding is not known"),
    "encoding before chunks": (
        POST + b"Transfer-Encoding: gzip, chunked\r\n" + END, 400, "encoding is not known"),
    "vertical tab before an encoding": (
        POST + b"Transfer-Encoding: \x0bchunked\r\n" + END, 400, ""),
    "chunk size that is no number": (CHUNKED + END + b"zz\r\nabc\r\n", 400, "Invalid chunk size"),
    "chunk size below zero": (CHUNKED + END + b"-1\r\nabc\r\n", 400, "Invalid chunk size"),
    "chunk that is longer than it says": (CHUNKED + END + b"1\r\nabc\r\n", 400, "not properly"),
    "chunk line without an end": (CHUNKED + END + b"1" * 20_000, 400, "first line is too long"),
    "chunk extension without an end": (
        CHUNKED + END + b"1;" + b"a" * 20_000, 400, "first line is too long"),
    "trailer without an end": (CHUNKED + END + b"0\r\n" + b"a: b\r\n" * 30_000, 400, "last chunk"),
    "chunks that hold no JSON": (CHUNKED + END + b"3\r\nabc\r\n0\r\n\r\n", 400, "JSON body"),
    "body that is shorter than it looks": (
        POST + b"Content-Length: 5\r\n" + END + TUNE, 400, "JSON body"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_request_that_cannot_be_read_is_refused(running: Any, name: str) -> None:
    sent, status, error = WRONG[name]
    server = running()
    found, told = server.ask(sent)
    if found == 0:  # closed with bytes that were not read: the answer may be lost
        assert len(sent) > 60_000
    else:
        assert (found, told["status"]) == (status, status)
        assert error in told["error"]
    assert server.serves()


def test_get_that_expects_to_continue_is_answered(running: Any) -> None:
    assert running().ask(GET + b"Expect: 100-continue\r\n" + END) == (200, [])


def test_body_that_is_expected_is_asked_for_and_read(running: Any) -> None:
    server = running()
    length = b"Content-Length: %d\r\n" % len(TUNE)
    client = server.connect(POST + b"Expect: 100-continue\r\n" + length + END)
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(TUNE)
    assert answer_of(client)[0] == 201


def test_chunked_body_beyond_the_limit_is_refused(running: Any) -> None:
    server = running(max_body_mb=1)
    status, told = server.ask(CHUNKED + END, *[b"10000\r\n" + b"a" * 65536 + b"\r\n"] * 20)
    assert (status, told) in [(413, {"status": 413, "error": "Payload Too Large"}), (0, None)]
    assert server.serves()


# -- clients that stall ----------------------------------------------------------------------------
STALLED = {
    "nothing": b"",
    "half a head": GET[:30],
    "half a body": POST + b"Content-Length: 1000\r\n" + END + TUNE[:10],
    "half a chunk": CHUNKED + END + b"ff\r\nabc",
    "no last chunk": CHUNKED + END + b"3\r\nabc\r\n",
    "half a form": POST.replace(b"application/json", b"multipart/form-data; boundary=b")
    + b"Content-Length: 1000\r\n" + END + b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx",
}  # fmt: skip


@pytest.mark.parametrize("name", STALLED)
def test_clients_that_stall_hold_no_thread_and_are_closed(running: Any, name: str) -> None:
    server = running()
    clients = [server.connect(STALLED[name]) for _ in range(server_module.THREADS + 4)]
    assert server.serves()
    server.at_idle()
    assert {client.recv(1) for client in clients} == {b""}
    assert server.serves()


@pytest.mark.parametrize("name", STALLED)
def test_client_that_goes_in_the_middle_leaves_nothing(running: Any, name: str) -> None:
    server = running()
    for close in (lambda c: c.shutdown(socket.SHUT_WR), lambda c: c.close()):
        close(server.connect(STALLED[name]))
    assert server.serves()  # and so has no tune


@pytest.mark.parametrize("limit", ["HEAD_SECONDS", "REQUEST_SECONDS"])
def test_request_that_drips_is_refused(running: Any, monkeypatch: Any, limit: str) -> None:
    server = running()
    head = POST + b"Content-Length: 1000\r\n"
    client = server.connect(head if limit == "HEAD_SECONDS" else head + END)
    assert server.serves()  # what was sent before has been read
    monkeypatch.setattr(channel_module, limit, 0.0)
    client.sendall(b"X")
    assert answer_of(client) == (408, {"status": 408, "error": "Request Timeout"})


def test_clients_that_do_not_read_hold_no_thread(running: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "THREADS", 2)
    server = running()
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    file = ("1.jpg", out.getvalue() + bytes(20 * MEGABYTE))
    form, kind = encode_multipart_formdata({"prompt[text]": "a", "prompt[input_image]": file})
    head = POST.replace(b"/tunes", b"/tunes/690204/prompts").replace(JSON, b"")
    lines = b"Content-Type: %s\r\nContent-Length: %d\r\n" % (kind.encode(), len(form))
    status, made = server.ask(head + lines + END + form)
    assert status == 201
    path = made["input_image"].partition("127.0.0.1")[2].encode()
    ask = b"GET %s HTTP/1.1\r\n" % path + HOST + b"Range: bytes=0-\r\n" + END
    clients = [server.connect(ask) for _ in range(4)]
    assert {client.recv(12) for client in clients} == {b"HTTP/1.1 206"}
    assert server.serves()
    server.at_idle()
    assert server.serves()  # and so has closed them
    for client in clients:
        size = 0
        with contextlib.suppress(ConnectionError):
            while data := client.recv(MEGABYTE):
                size += len(data)
        assert size < 20 * MEGABYTE


def channels(server: Running) -> list[Any]:
    return [*server.server._server.active_channels.values()]


# -- many clients ----------------------------------------------------------------------------------
def test_server_serves_on_after_more_connections_than_it_takes(
    running: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS", 20)
    server = running()
    clients = [server.connect(GET[:10]) for _ in range(40)]
    for client in clients[:30]:
        client.close()
    assert server.serves()


def test_server_that_is_full_closes_idle_connections_soon(running: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS", 20)
    server = running()
    for _ in range(15):
        server.connect()
    assert server.serves()
    server.at_idle(10)
    assert len(channels(server)) >= 15  # there is room
    for _ in range(8):
        server.connect()
    wait_until(lambda: server.server._server.in_connection_overflow)
    server.at_idle(10)
    assert server.serves()


def test_connections_are_no_more_than_there_are_files_for(monkeypatch: Any) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (90, 90))
    assert server_module.connection_limit(3) == 30
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 0))
    assert server_module.connection_limit(3) == server_module.CONNECTIONS


def test_bodies_that_come_are_bounded_together(running: Any, monkeypatch: Any) -> None:
    server = running(max_body_mb=2)
    monkeypatch.setattr(channel_module, "UNCOUNTED", 1000)
    monkeypatch.setattr(channel_module, "BODIES_AT_ONCE", 1)
    half = POST + b"Content-Length: 1500000\r\n" + END + b" " * 1_400_000
    clients = [server.connect(half)]
    while sum(channel.held for channel in channels(server)) < 1_400_000:
        assert server.serves()
    assert server.ask(half) in [(429, {"status": 429, "error": "Too Many Requests"}), (0, None)]
    body = b"Content-Length: %d\r\n" % len(TUNE) + END + TUNE
    assert server.ask(POST + body)[0] == 201  # small ones are taken
    clients[0].sendall(b" " * 100_000)
    assert answer_of(clients[0])[0] == 400


# -- garbage ---------------------------------------------------------------------------------------
PIECES = st.sampled_from(
    [b"GET ", b"POST ", b"/tunes", b" HTTP/1.1", b" HTTP/9.9", b"\r\n", b"\n", b"\r", b"\0", b":",
     HOST, KEY, JSON, b"Content-Length: ", b"7", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n",
     b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"http://[", b"//", b"?", b"#", b"%00",
     b"\xff", b"Range: bytes=-", b"Host: [\r\n", b"{}", b"Connection: Upgrade\r\n"]
)  # fmt: skip
GARBAGE = st.lists(PIECES | st.binary(max_size=8), max_size=25).map(b"".join)


@settings(
    derandomize=True, deadline=None, max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(GARBAGE, st.sampled_from([b"", GET, POST, CHUNKED + END]))
def test_garbage_is_refused_or_closed(
    garbage_server: Running, garbage: bytes, start: bytes
) -> None:
    client = garbage_server.connect(start + garbage + b"\r\n\r\n\r\n")
    client.shutdown(socket.SHUT_WR)
    status, told = answer_of(client)
    client.close()
    assert status < 500
    if status >= 400 and status != 422 and isinstance(told, dict):
        assert told["status"] == status
    assert garbage_server.serves()


@pytest.fixture
def garbage_server(running: Any) -> Running:
    started: Running = running()
    return started
