"""Clients that stall, come in numbers, or send garbage."""

import contextlib
import socket
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from urllib3 import encode_multipart_formdata

from astria_emulator.server import channel as channel_module
from astria_emulator.server import crowding
from astria_emulator.server import http_server as server_module
from astria_emulator.server.crowding import Pace
from tests import wait_until
from tests.server.raw_clients import (
    CHUNKED,
    END,
    GET,
    HOST,
    JSON,
    KEY,
    MEGABYTE,
    POST,
    TUNE,
    Running,
    answer_of,
)

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


def test_clients_that_stall_are_closed_also_when_the_clock_was_set_back(running: Any) -> None:
    server = running()
    client = server.connect(STALLED["half a head"])
    inner = server.server._server
    wait_until(lambda: len(inner.active_channels) == 1)
    [channel] = inner.active_channels.values()
    wait_until(lambda: channel.request is not None)
    channel.last_activity += 3600
    inner.next_channel_cleanup += 3600
    inner.pull_trigger()
    wait_until(lambda: inner.next_channel_cleanup < channel.last_activity - 1800)
    server.at_idle(0)
    server.at_idle()
    assert client.recv(1) == b""


@pytest.mark.parametrize("name", STALLED)
def test_client_that_goes_in_the_middle_leaves_nothing(running: Any, name: str) -> None:
    server = running()
    for close in (lambda c: c.shutdown(socket.SHUT_WR), lambda c: c.close()):
        close(server.connect(STALLED[name]))
    assert server.serves()  # and so has no tune


@pytest.mark.parametrize("limit", ["HEAD_SECONDS", "REQUEST_SECONDS", "SLOW_SECONDS"])
def test_request_that_drips_is_refused(running: Any, monkeypatch: Any, limit: str) -> None:
    server = running()
    head = POST + b"Content-Length: 1000\r\n"
    client = server.connect(head if limit == "HEAD_SECONDS" else head + END)
    assert server.serves()  # what was sent before has been read
    monkeypatch.setattr(channel_module, limit, 0.0)
    client.sendall(b"X")
    assert answer_of(client) == (408, {"status": 408, "error": "Request Timeout"})


def test_client_that_idled_before_its_request_is_in_time(running: Any, monkeypatch: Any) -> None:
    server = running()
    client = server.connect()
    assert server.serves()
    monkeypatch.setattr(Pace, "behind", lambda self, now: channel_module.SLOW_SECONDS + 1)
    client.sendall(POST + b"Content-Length: %d\r\n" % len(TUNE) + END)
    assert server.serves()  # and so the head is read before the body
    client.sendall(TUNE)
    assert answer_of(client)[0] == 201


def path_of_upload(server: Running, size: int) -> bytes:
    """The path of a file of so many bytes and a few more."""
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    file = ("1.jpg", out.getvalue() + bytes(size))
    form, kind = encode_multipart_formdata({"prompt[text]": "a", "prompt[input_image]": file})
    head = POST.replace(b"/tunes", b"/tunes/690204/prompts").replace(JSON, b"")
    lines = b"Content-Type: %s\r\nContent-Length: %d\r\n" % (kind.encode(), len(form))
    status, made = server.ask(head + lines + END + form)
    assert status == 201
    path: bytes = made["input_image"].partition("127.0.0.1")[2].encode()
    return path


def test_clients_that_do_not_read_hold_no_thread(running: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "THREADS", 2)
    server = running()
    path = path_of_upload(server, 20 * MEGABYTE)
    ask = b"GET %s HTTP/1.1\r\n" % path + HOST + b"Range: bytes=0-\r\n" + END
    clients = [server.connect(ask) for _ in range(4)]
    assert {client.recv(12) for client in clients} == {b"HTTP/1.1 206"}
    assert server.serves()
    server.at_idle()
    assert server.serves()  # and so has closed them
    assert all(rest_of(client) < 20 * MEGABYTE for client in clients)


def rest_of(client: socket.socket) -> int:
    """How many bytes come before the connection is closed."""
    size = 0
    with contextlib.suppress(ConnectionError):
        while data := client.recv(MEGABYTE):
            size += len(data)
    return size


def test_client_that_reads_too_slowly_is_closed(running: Any, monkeypatch: Any) -> None:
    server = running()
    path = path_of_upload(server, 20 * MEGABYTE)
    client = server.connect(b"GET %s HTTP/1.1\r\n" % path + HOST + END)
    assert client.recv(12) == b"HTTP/1.1 200"
    server.at_idle(0)
    [reading] = channels(server)
    reading.last_activity += 3600  # it takes a byte now and then
    monkeypatch.setattr(Pace, "behind", lambda self, now: server_module.IDLE_SECONDS + 1)
    server.at_idle(0)
    assert server.serves()  # and so has closed it
    assert rest_of(client) < 20 * MEGABYTE


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


def test_health_is_answered_while_one_client_has_all_connections(
    running: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(crowding, "LATE_SECONDS", 0.0)
    monkeypatch.setattr(crowding, "LOOK_SECONDS", 0.0)
    server = running()
    for begun in (b"", GET[:10], POST + b"Content-Length: 1000\r\n" + END):
        clients = [server.connect(begun) for _ in range(320)]
        health = b"GET /_emulator/health HTTP/1.1\r\n" + HOST + END
        assert server.ask(health)[0] == 200
        assert len(channels(server)) < server_module.CONNECTIONS
        for client in clients:
            client.close()


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
