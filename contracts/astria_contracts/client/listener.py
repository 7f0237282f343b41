"""A server on this machine that receives callbacks."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class ReceivedCall:
    """One call: its method, its path with the query string, its headers, and its body.

    `number` is its place in the order in which calls have come.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    number: int


@dataclass
class Listener:
    """Records the calls that it receives.

    `statuses` gives what to answer to a path that begins so, `redirect` where a 3xx leads,
    `patience` how many seconds a call may take to come.
    """

    base: str = ""
    patience: float = 60.0
    redirect: str = ""
    statuses: dict[str, int] = field(default_factory=dict)
    _received: list[ReceivedCall] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def url(self, place: str) -> str:
        """The URL of a path, which is unique to one object and may have a query string."""
        return f"{self.base}/{place}"

    def calls(self, place: str) -> list[ReceivedCall]:
        """The calls to a path, whatever their query string."""
        with self._changed:
            wanted = f"/{place}".partition("?")[0]
            return [one for one in self._received if one.path.partition("?")[0] == wanted]

    def all(self) -> list[ReceivedCall]:
        """All calls so far."""
        with self._changed:
            return list(self._received)

    def wait(self, place: str, *, count: int = 1) -> list[ReceivedCall]:
        """The calls to a path, once there are `count` of them or `patience` is over."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.calls(place)) >= count, self.patience)
            return self.calls(place)

    def record(self, received: ReceivedCall) -> int:
        with self._changed:
            self._received.append(received)
            self._changed.notify_all()
        known = [place for place in self.statuses if received.path.startswith(f"/{place}")]
        return self.statuses[known[0]] if known else 200


@contextmanager
def listening(url: str = "", *, patience: float = 60.0) -> Iterator[Listener]:
    """A listener on a free port of loopback, or on the port of a URL that leads to this machine."""
    listener = Listener(patience=patience)
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                body = json.loads(raw)
            except ValueError:
                body = raw
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = ReceivedCall(self.command, self.path, headers, body, next(numbers))
            self.send_response(listener.record(got))
            self.send_header("Location", listener.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None: ...

    address = ("0.0.0.0", urlsplit(url).port or 80) if url else ("127.0.0.1", 0)  # noqa: S104
    server = ThreadingHTTPServer(address, Handler)
    listener.base = url.rstrip("/") or f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
