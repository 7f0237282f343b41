"""How a request is read from a connection: within bounds of time and size.

What waitress itself refuses, or trips over, is answered in the API's form.
"""

import json
import logging
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from astria_emulator.errors import TooLarge
from astria_emulator.request.connection import CONNECTION, RESULT_OF, Suspended
from astria_emulator.server.crowding import Pace
from astria_emulator.server.http1 import BEGINNING, ChunkedBody, bare_in, check_head
from astria_emulator.server.waitress_names import (
    BadRequest,
    ClientDisconnected,
    Error,
    ErrorTask,
    HTTPChannel,
    HTTPRequestParser,
    ParsingError,
    Task,
    WSGITask,
)

log = logging.getLogger(__name__)

HEAD_SECONDS = 30.0  # for all of a request's head, however slowly it drips
REQUEST_SECONDS = 300.0  # for all of a request
SLOW_SECONDS = 60.0  # that a client may be behind the least rate
HEADER_BYTES = 65536
UNCOUNTED = 1_000_000  # bytes of a body that always may come
BODIES_AT_ONCE = 5  # of the largest size: what all bodies that come may take on disk


class TooSlow(Error):  # type: ignore[misc]
    code, reason = 408, "Request Timeout"


class NoRoom(Error):  # type: ignore[misc]
    code, reason = 503, "Service Unavailable"


class TooMany(Error):  # type: ignore[misc]
    code, reason = 429, "Too Many Requests"


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request strictly, and within bounds of time and size."""

    completed: bool
    error: Error | None
    body_rcv: Any
    is_head = False  # whether it asks by HEAD, also where it could not be read further

    def __init__(self, adj: Any):
        super().__init__(adj)
        self.begun = time.monotonic()
        self.refusal: Error | None = None  # what the next bytes are to be answered with
        self._work: Future[Any] | None = None

    def received(self, data: bytes) -> int:
        """Take bytes; return how many were used: all, where the request is refused."""
        try:
            if self.body_rcv is None:
                self._check_beginning(data)
            used: int = super().received(data)
        except ParsingError as reason:
            self._refuse(BadRequest(str(reason)))
        except ValueError:  # as of `GET http://[`
            self._refuse(BadRequest("The request cannot be read"))
        except OSError as trouble:  # a long body is in a file until it has come
            log.warning("a request's body: %s", trouble.strerror)
            self._refuse(NoRoom(""))
        if not self.completed and (error := self.refusal or self._excess()):
            self._refuse(error)
        if self.completed:  # nothing is to come: waitress would wait for it
            self.expect_continue = False
        return len(data) if self.error else used

    def _check_beginning(self, data: bytes) -> None:
        """Check what has come of a head: waitress would wait for the empty line after it.

        Raises ParsingError.
        """
        head = self.header_plus + data
        if not (begin := BEGINNING.match(head)):
            raise ParsingError("Start line is invalid")
        self.is_head = head.startswith(b"HEAD ", begin.end() - 1)
        # With the byte before it; all others have been looked at.
        tail = b"" if b"\r\n\r\n" in head else head[-len(data) - 1 :].removeprefix(b"\n")
        if bare := bare_in(tail):
            raise ParsingError(bare)

    def parse_header(self, header_plus: bytes) -> None:
        check_head(header_plus)
        super().parse_header(header_plus)
        # Waitress knows an option only where it stands alone.
        options = self.headers.get("CONNECTION", "").lower().split(",")
        if len(options) > 1:
            named = {option.strip(" \t") for option in options}
            kept = "keep-alive" if "keep-alive" in named else ""
            self.headers["CONNECTION"] = "close" if "close" in named else kept
        if self.chunked:
            self.body_rcv = ChunkedBody(self.body_rcv.getbuf())

    def result_of(self, begin: Callable[[], Future[Any]]) -> Any:
        """Return the result of work, or raise Suspended until it has ended."""
        if self._work is None:
            self._work = begin()
        if not self._work.done():
            raise Suspended(self._work)
        return self._work.result()

    def _refuse(self, error: Error) -> None:
        self.error, self.completed, self.expect_continue = error, True, False

    def _excess(self) -> Error | None:
        seconds = time.monotonic() - self.begun
        if seconds > (REQUEST_SECONDS if self.headers_finished else HEAD_SECONDS):
            return TooSlow("")
        return None


class HeadersOnly(Task):  # type: ignore[misc]
    """Gives the answer to HEAD no body, and the Content-Length that the one to GET would have."""

    def write(self, data: bytes) -> None:
        # Of what could not be answered the channel still has the request.
        if self.channel.requests[0].is_head:
            super().write(b"")
            self.chunked_response = False  # its end would be a body
        else:
            super().write(data)


class JsonErrorTask(HeadersOnly, ErrorTask):  # type: ignore[misc]
    """What waitress itself refuses - too large, unreadable - in the API's form."""

    def execute(self) -> None:
        error = self.request.error
        answer = {"status": error.code, "error": error.reason}
        if error.code == 400:
            answer["error"] = error.body
        if error.code == 413:
            answer = TooLarge().body
        body = json.dumps(answer, separators=(",", ":"))
        self.status = f"{error.code} {error.reason}"
        self.content_length = len(body)
        self.response_headers.append(("Content-Type", "application/json"))
        self.response_headers.append(("Connection", "close"))
        self.close_on_finish = True
        self.write(body.encode())


class ApiTask(HeadersOnly, WSGITask):  # type: ignore[misc]
    """Answers a request; the application is lent its connection."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[CONNECTION] = self.channel
        environ[RESULT_OF] = self.request.result_of
        if self.request.is_head:
            environ.pop("wsgi.file_wrapper", None)  # what it wraps is sent without `write`
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection; what its bodies take counts with those of all others."""

    parser_class = Parser
    task_class = ApiTask
    error_task_class = JsonErrorTask
    is_broken = False

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None):
        super().__init__(server, sock, addr, adj, map=map)
        self._pace = Pace()

    def behind(self, now: float) -> float | None:
        """Return how many seconds the client is behind the least rate; None: it waits for us."""
        return None if self.requests and not self.total_outbufs_len else self._pace.behind(now)

    def service(self) -> None:
        """Answer the first request. No thread waits for what is being drawn."""
        try:
            super().service()
        except Suspended as suspended:
            suspended.work.add_done_callback(lambda _: self.server.add_task(self))
        else:
            self._pace.restart()

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent: int = super().send(data, do_close=do_close)
        self._pace.moved(sent)
        return sent

    def wait(self, seconds: float) -> None:
        """Let so much time pass; not in the thread that serves all connections."""
        time.sleep(seconds)

    def reset(self) -> None:
        """Break off with RST, as of the next byte that would be sent."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_broken = True

    def write_soon(self, data: Any) -> int:
        if self.is_broken:
            raise ClientDisconnected
        if not self.total_outbufs_len:
            self._pace.restart()
        written: int = super().write_soon(data)
        return written

    def received(self, data: bytes) -> bool:
        self._pace.moved(len(data))
        if self.request is not None and self._is_slow(self.request):
            self.request.refusal = TooSlow("")
        if self.request is not None and self.request.body_bytes_received > UNCOUNTED:
            held = sum(channel.held for channel in [*self.server.active_channels.values()])
            if held > BODIES_AT_ONCE * self.adj.max_request_body_size:
                self.request.refusal = TooMany("")
        taken: bool = super().received(data)
        return taken

    def _is_slow(self, request: Parser) -> bool:
        """Whether it is behind by too much, not counting what the client idled before it."""
        now = time.monotonic()
        return min(self._pace.behind(now), now - request.begun) > SLOW_SECONDS

    @property
    def held(self) -> int:
        """Bytes of bodies that have come and are not answered."""
        parsers = (*self.requests, self.request)
        return sum(parser.body_bytes_received for parser in parsers if parser is not None)
