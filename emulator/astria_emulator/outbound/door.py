"""The one guarded door for requests that leave.

It connects to the very address that it has checked. It follows no redirect, uses no proxy and
unpacks nothing. Time and size are bounded, whatever the other side does.
"""

import http.client
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from astria_emulator.outbound.addresses import Blocked, choose_addresses

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Talk = Callable[[http.client.HTTPConnection, str], Result]

PORTS = {"http": 80, "https": 443}
NETLOC = re.compile(r"(.*@)?(\[[\da-fA-F:.]+\]|[^\[\]:]*)(:\d*)?")
LONGEST_HOST = 253  # characters of a name (RFC 1035)
CHUNK = 1 << 16  # bytes read at a time
LEAST_RATE = 1000.0  # bytes a second of a fetched file
GRACE_SECONDS = 3.0  # that it may be behind that rate
LOGGED_LENGTH = 200  # characters of an address in a log
# Texts for errors that have none, or only text that the other side sent.
ERROR_TEXTS = {
    "BadStatusLine": "the answer is not HTTP",
    "UnknownProtocol": "the answer is not HTTP",
    "RemoteDisconnected": "closed without an answer",
    "IncompleteRead": "the answer ends too early",
    "LineTooLong": "a line of the answer is too long",
    "HTTPException": "the answer has too many headers",
}


@dataclass(frozen=True)
class PostResult:
    """How a POST ended: with a status, or with an error. `seconds`: how long it took."""

    status: int | None
    error: str | None
    seconds: float


@dataclass(frozen=True)
class FetchedFile:
    """A file from an address; `content_type` is what the other side says."""

    content_type: str
    data: bytes


class Failed(Exception):
    """A request that was not sent, or got an unusable answer.

    The text says why, and never shows the URL's query.
    """


@dataclass(frozen=True)
class Destination:
    """Where a URL leads. `target` is its path and query, unchanged."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str) -> "Destination":
        """Read a URL.

        Raises Blocked.
        """
        if not re.fullmatch("[!-~]+", url):
            raise Blocked("the address holds other than ASCII characters, or a blank")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            if "\\" in parts.netloc or not NETLOC.fullmatch(parts.netloc):
                raise ValueError(url)
        except ValueError:
            raise Blocked("the address cannot be read") from None
        if parts.scheme not in PORTS:
            raise Blocked("the address begins with other than http:// or https://")
        if not host or port == 0:
            raise Blocked("the address names no host, or port 0")
        target = url.split("#", 1)[0].partition("//")[2][len(parts.netloc) :]
        target = target if target.startswith("/") else f"/{target}"
        return cls(scheme=parts.scheme, host=host, port=port or PORTS[parts.scheme], target=target)


def receiver_of(url: str) -> str:
    """Return the host and the port that a URL leads to; "" where no host can have its name."""
    try:
        destination = Destination.of(url)
    except Blocked:
        return ""
    host = destination.host.rstrip(".")
    return f"{host}:{destination.port}" if len(host) <= LONGEST_HOST else ""


def post(
    url: str,
    body: bytes,
    *,
    allowed_hosts: Collection[str],
    timeout: float,
    hang_up: bool = False,
) -> PostResult:
    """POST JSON to a URL; its path and query are sent unchanged. The answer's body is not read.

    timeout: seconds for the whole request, however slowly the other side answers.
    hang_up: close the connection without waiting for an answer, as after a timeout.
    """

    def talk(connection: http.client.HTTPConnection, target: str) -> int:
        connection.putrequest("POST", target, skip_accept_encoding=True)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Accept", "*/*")
        connection.endheaders(body)
        if hang_up:
            raise Failed("timed out")
        with closing(connection.getresponse()) as response:
            return response.status

    begin = time.monotonic()
    status, error = None, None
    try:
        status = _exchange(url, talk, allowed_hosts, "--callback-hosts", timeout)
    except Failed as reason:
        error = str(reason)
    if status is not None and 300 <= status < 400:
        log.warning("%r answered %d: no redirect is followed", host_and_path(url), status)
    return PostResult(status, error, time.monotonic() - begin)


def fetch(
    url: str, *, allowed_hosts: Collection[str], timeout: float, max_bytes: int
) -> FetchedFile:
    """GET the file at a URL; only the status 200 counts.

    timeout: seconds for the whole request, however slowly the other side answers.
    Raises Failed.
    """

    def talk(connection: http.client.HTTPConnection, target: str) -> FetchedFile:
        connection.putrequest("GET", target, skip_accept_encoding=True)
        connection.putheader("Accept", "*/*")
        connection.putheader("Accept-Encoding", "identity")
        connection.putheader("User-Agent", "astria-emulator")
        connection.endheaders()
        with closing(connection.getresponse()) as response:
            if response.status != http.HTTPStatus.OK:
                redirect = ": no redirect is followed" if 300 <= response.status < 400 else ""
                raise Failed(f"answered {response.status}{redirect}")
            if response.getheader("Content-Encoding", "identity").lower() != "identity":
                raise Failed("the answer is compressed")
            data = _read_body(response, max_bytes)
            return FetchedFile(response.getheader("Content-Type", ""), data)

    return _exchange(url, talk, allowed_hosts, "--fetch-hosts", timeout)


def _read_body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """Read in small pieces: the other side may state a wrong length or chunk size."""
    flags = "--max-body-mb and --max-file-mb raise that"
    too_large = Failed(f"larger than {max_bytes / 1_000_000:.4g} MB; {flags}")
    if response.length is not None and response.length > max_bytes:
        raise too_large
    pieces, size, begin = [], 0, time.monotonic()
    while piece := response.read1(CHUNK):
        size += len(piece)
        if size > max_bytes:
            raise too_large
        if time.monotonic() - begin > GRACE_SECONDS + size / LEAST_RATE:
            raise Failed(f"slower than {LEAST_RATE:g} bytes a second")
        pieces.append(piece)
    if response.length:
        raise Failed("the answer ends too early")
    return b"".join(pieces)


def _exchange(
    url: str, talk: Talk[Result], allowed_hosts: Collection[str], flag: str, timeout: float
) -> Result:
    """Connect to a URL's host, and return what `talk` returns, within `timeout` seconds.

    Raises Failed.
    """
    end = time.monotonic() + timeout
    try:
        destination = Destination.of(url)
        host, port = destination.host, destination.port
        addresses = choose_addresses(host, port, allowed_hosts, flag=flag, seconds=timeout)
        with closing(http.client.HTTPConnection(host, port)) as connection:
            connection.auto_open = 0  # it would look the name up again
            connection.sock = _connect(addresses, port, end)
            if destination.scheme == "https":
                connection.default_port = PORTS["https"]
                context = ssl.create_default_context()
                connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
            with _deadline(end, connection.sock):
                return talk(connection, destination.target)
    except Blocked as reason:
        raise Failed(f"blocked: {reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as reason:
        if time.monotonic() >= end:
            raise Failed("timed out") from None
        # The error's own text may hold the URL's query, which may be secret.
        name = type(reason).__name__
        why = ERROR_TEXTS.get(name) or (reason.strerror if isinstance(reason, OSError) else None)
        raise Failed(f"{name}: {why}" if why else name) from None


def _connect(addresses: list[str], port: int, end: float) -> socket.socket:
    """Connect to the first checked address that answers; the name is not looked up again.

    end: monotonic time at which to give up. Raises OSError.
    """
    *others, last = addresses
    for address in others:
        # An application often listens on one of localhost's two addresses.
        with suppress(OSError):
            sock = socket.create_connection((address, port), _seconds_left(end) / 2)
            break
    else:
        sock = socket.create_connection((last, port), _seconds_left(end))
    sock.settimeout(_seconds_left(end))
    return sock


def _seconds_left(end: float) -> float:
    return max(0.01, end - time.monotonic())


@contextmanager
def _deadline(end: float, sock: socket.socket) -> Iterator[None]:
    """Shut a socket down at a monotonic time: slow bytes never trigger the socket's own timeout.

    Raises TimeoutError after that, whatever has been read by then.
    """
    expired = threading.Event()

    def shut() -> None:
        expired.set()
        with suppress(OSError):
            # Not a TLS socket's own method: that drops state which another thread is using.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    watchdog = threading.Timer(_seconds_left(end), shut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
        if expired.is_set():
            raise TimeoutError


def host_and_path(url: str) -> str:
    """Return host and path of a URL for a log, without user name, password and query."""
    beginning = re.split("[?#]", url)[0]
    try:
        path = Destination.of(beginning).target
    except Blocked:
        return "an address that cannot be read"
    text = urlsplit(beginning).netloc.rpartition("@")[2] + path
    return text if len(text) <= LOGGED_LENGTH else f"{text[:LOGGED_LENGTH]}..."
