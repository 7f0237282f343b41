"""Clients that speak bytes."""

import contextlib
import json
import socket
import threading
from contextlib import ExitStack
from typing import Any

from astria_emulator.server import http_server as server_module
from astria_emulator.server.http_server import Server
from tests import PATIENCE_SECONDS

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
        self.server = Server(app, "127.0.0.1", 0, max_body=limit, may_fetch=app.may_fetch)
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
