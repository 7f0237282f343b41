"""Pass one request to the application and return its answer, without a socket."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.datastructures import Headers
from werkzeug.test import run_wsgi_app

from astria_emulator.clock import VirtualClock
from astria_emulator.request.connection import CONNECTION, Connection, connection_of

Application = Callable[..., Iterable[bytes]]
PORTS = {"http": 80, "https": 443}
# Headers for clients that need a socket: the seconds that the client waits, and the mark of an
# answer that comes later than that.
PATIENCE, LATE = "X-Astria-Emulator-Patience", "X-Astria-Emulator-Late"
SENT_PATIENCE = "HTTP_X_ASTRIA_EMULATOR_PATIENCE"
UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class Lost(Exception):
    """A request without an answer; the client's library then raises its usual error."""


class Reset(Lost):
    """The connection was closed without an answer."""


class TimedOut(Lost):
    """The answer came later than the client waits."""


@dataclass(frozen=True)
class InterceptedRequest:
    """A request. `patience`: seconds that the client waits for an answer; None: for ever."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    patience: float | None = None


@dataclass(frozen=True)
class InterceptedResponse:
    """An answer. `is_cut`: the body is shorter than its Content-Length says."""

    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    is_cut: bool = False


class VirtualConnection:
    """A connection whose waits move the clock instead of taking time.

    real: the socket's connection, if there is one. `waited`: seconds.
    """

    def __init__(self, clock: VirtualClock | None, real: Connection | None = None):
        self._clock, self._real = clock, real
        self.waited = 0.0
        self.is_broken = False

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        if self._clock:
            self._clock.advance(timedelta(seconds=seconds))

    def reset(self) -> None:
        self.is_broken = True
        if self._real:
            self._real.reset()


def exchange(
    application: Application, request: InterceptedRequest, *, clock: VirtualClock | None
) -> InterceptedResponse:
    """Send a request to an application. `clock`: moved by the waits of faults.

    Raises Lost.
    """
    connection = VirtualConnection(clock)
    environ = environ_of(request) | {CONNECTION: connection}
    parts, status, headers = run_wsgi_app(application, environ, buffered=True)
    if connection.is_broken:
        raise Reset
    if request.patience is not None and connection.waited > request.patience:
        raise TimedOut
    code, _, reason = status.partition(" ")
    if request.method == "HEAD":
        return InterceptedResponse(status=int(code), reason=reason, headers=list(headers), body=b"")
    body = b"".join(parts)
    is_cut = headers.get("Content-Length", len(body), type=int) > len(body)
    return InterceptedResponse(
        status=int(code), reason=reason, headers=list(headers), body=body, is_cut=is_cut
    )


def relay(
    application: Application,
    environ: dict[str, Any],
    start_response: Any,
    *,
    clock: VirtualClock | None,
) -> Iterable[bytes]:
    """Send a request to an application for a client that uses a socket and states its patience."""
    patience = environ[SENT_PATIENCE]
    connection = VirtualConnection(clock, connection_of(environ))
    environ = {name: value for name, value in environ.items() if name != SENT_PATIENCE}
    environ[CONNECTION] = connection
    parts, status, headers = run_wsgi_app(application, environ)
    if patience and connection.waited > float(patience):
        status, headers, parts = "200 OK", Headers({LATE: "yes", "Content-Length": "0"}), []
    start_response(status, list(headers))
    return parts


def environ_of(request: InterceptedRequest) -> dict[str, Any]:
    """Return a request as a WSGI environment (PEP 3333)."""
    parts = urlsplit(request.url)
    host = parts.hostname or "localhost"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path or "/").decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": host,
        "SERVER_PORT": str(parts.port or PORTS.get(parts.scheme, 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": parts.netloc.rpartition("@")[2],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in request.headers:
        key = UNPREFIXED.get(name.lower(), f"HTTP_{name.upper().replace('-', '_')}")
        environ[key] = f"{environ[key]},{value}" if key in environ and key != "HTTP_HOST" else value
    environ["CONTENT_LENGTH"] = str(len(request.body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return environ
