"""HTTPS: as strict as HTTP, and open to others while some clients stall."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from astria_emulator import Config
from astria_emulator.server import http_server as server_module
from astria_emulator.server import tls_server as tls_module
from astria_emulator.server.certificates import server_context
from astria_emulator.server.http_server import Server
from astria_emulator.server.tls_server import TlsServer
from tests import PATIENCE_SECONDS, wait_until


@pytest.fixture
def context(https: tuple[str, Server], client: requests.Session) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(client.verify))


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_requests_are_read_as_strictly_and_head_has_no_body(
    https: tuple[str, Server], context: ssl.SSLContext
) -> None:
    kept = "HEAD /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wrong = "HEAD /tunes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", https[1].port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        wrapped.sendall((kept + wrong + kept).encode())
        answers = b""
        while data := wrapped.recv(4096):
            answers += data
    heads = answers.split(b"\r\n\r\n")
    assert [head[:12] for head in heads] == [b"HTTP/1.1 404", b"HTTP/1.0 400", b""]


def test_clients_that_shake_no_hands_keep_nobody_out(
    config: Config, context: ssl.SSLContext, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "HANDSHAKE_SECONDS", PATIENCE_SECONDS)
    own = server_context(config)
    with socket.create_server(("127.0.0.1", 0)) as behind:
        front = TlsServer("127.0.0.1", 0, own, behind=behind.getsockname()[1], connections=8)
        at = ("127.0.0.1", front.port)
        for _ in range(20):
            opened.enter_context(socket.create_connection(at, PATIENCE_SECONDS))
        plain = opened.enter_context(socket.create_connection(at, PATIENCE_SECONDS))
        wrapped = opened.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
        behind.accept()[0].close()
        assert wrapped.recv(1) == b""
        opened.close()
        front.stop()
        front.close()


def test_server_knows_whose_a_connection_is(
    https: tuple[str, Server], context: ssl.SSLContext, opened: ExitStack
) -> None:
    server = https[1]
    try:
        plain = socket.create_connection(
            ("127.0.0.1", server.port), PATIENCE_SECONDS, source_address=("127.0.0.2", 0)
        )
    except OSError:  # only Linux has all of 127.0.0.0/8
        pytest.skip("this machine has one loopback address")
    opened.enter_context(plain)
    opened.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
    wait_until(lambda: [*map(server._peer_of, channels(server))] == ["127.0.0.2"])
    assert server._tls is not None
    peers = server._tls.peers
    opened.close()
    wait_until(lambda: not peers)


def test_client_that_does_not_end_tls_does_not_delay_the_stop(
    https: tuple[str, Server],
    context: ssl.SSLContext,
    opened: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_module, "IDLE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(tls_module, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(server_module, "DRAIN_SECONDS", 0.0)
    server = https[1]
    plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS)
    opened.enter_context(plain)
    wrapped = opened.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
    wrapped.sendall(b"GET /a")
    wait_until(lambda: len(channels(server)) == 1)
    tls = server._tls
    assert tls is not None
    server.stop()
    tls._thread.join(PATIENCE_SECONDS / 2)
    assert not tls._thread.is_alive()


def channels(server: Server) -> list[object]:
    return [*server._server.active_channels.values()]
