"""Fixtures of the tests in this folder."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from astria_emulator.clock import VirtualClock
from astria_emulator.faults.rules import Faults
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.outbound.outbox import ThreadOutbox
from astria_emulator.storage.store import Row, Store
from tests import PATIENCE_SECONDS
from tests.listeners import listening
from tests.outbound.callback_cases import START
from tests.outbound.raw_servers import Listen


@pytest.fixture
def callbacks(store: Store) -> Iterator[Callbacks]:
    made = Callbacks(store, VirtualClock(START), ThreadOutbox(()), Faults(0))
    yield made
    made.close()


@pytest.fixture
def tune(store: Store) -> Row:
    return store.insert("tune", 1, {})


@pytest.fixture
def prompt(store: Store) -> Row:
    return store.insert("prompt", 1, {})


@pytest.fixture
def gates() -> Iterator[Callable[[Callable[[str], None]], str]]:
    """Serves POSTs on loopback; each is answered once a function of its path has returned."""
    opened = ExitStack()

    def start(act: Callable[[str], None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                act(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        return opened.enter_context(listening(Handler))

    with opened:
        yield start


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Serves connections on loopback, each by a function that gets the socket."""
    servers: list[socket.socket] = []
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []
    stopping = threading.Event()

    def start(answer: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                    connections.append(connection)
                    with connection:
                        connection.settimeout(PATIENCE_SECONDS)
                        answer(connection)
                except TimeoutError:  # an error of the test: the other side never hung up
                    raise
                except OSError:
                    continue

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    stopping.set()
    for connection in connections:  # who no longer reads does not always say so
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
