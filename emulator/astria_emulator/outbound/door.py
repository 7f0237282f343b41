"""The one guarded door for requests that leave.

The address that was checked is the one that is connected to; no redirect is followed, no proxy is
asked, and nothing is unpacked. Time and size are bounded, whatever the other side does.
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

Found = TypeVar("Found")
Talk = Callable[[http.client.HTTPConnection, str], Found]

PORTS = {"http": 80, "https": 443}
NETLOC = re.compile(r"(.*@)?(\[[\da-fA-F:.]+\]|[^\[\]:]*)(:\d*)?")
CHUNK = 1 << 16  # bytes read at a time
PLACE_LENGTH = 200  # characters of an address in a log
# What errors say that have no words of their own, or those of the other side.
WORDS = {
    "BadStatusLine": "the answer is not HTTP",
    "UnknownProtocol": "the answer is not HTTP",
    "RemoteDisconnected": "closed without an answer",
    "IncompleteRead": "the answer ends too early",
    "LineTooLong": "a line of the answer is too long",
    "HTTPException": "the answer has too many headers",
}


@dataclass(frozen=True)
class Sent:
    """How a request that left has ended: a status, or an error."""

    status: int | None
    error: str | None
    seconds: float


@dataclass(frozen=True)
class Fetched:
    """What is at an address; the type is as the other side tells it."""

    content_type: str
    data: bytes


class Failed(Exception):
    """A request that was not sent, or not answered as it must be.

    The text tells why, and never shows the URL's query.
    """


@dataclass(frozen=True)
class Destination:
    """Where a URL leads. `target` is its path and query, as given."""

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
        return cls(parts.scheme, host, port or PORTS[parts.scheme], target)


def post(
    url: str,
    body: bytes,
    *,
    allowed_hosts: Collection[str],
    timeout: float,
    hang_up: bool = False,
) -> Sent:
    """POST JSON to a URL whose path and query are sent as given. The answer's body is not read.

    timeout: seconds for all of it, however slowly the other side answers. `hang_up`: wait for no
    answer, as if they had passed.
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
        log.warning("%r answered %d: no redirect is followed", place_of(url), status)
    return Sent(status, error, time.monotonic() - begin)


def fetch(url: str, *, allowed_hosts: Collection[str], timeout: float, max_bytes: int) -> Fetched:
    """GET what is at a URL; only the status 200 counts.

    timeout: seconds for all of it, however slowly the other side answers.
    Raises Failed.
    """

    def talk(connection: http.client.HTTPConnection, target: str) -> Fetched:
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
            return Fetched(response.getheader("Content-Type", ""), data)

    return _exchange(url, talk, allowed_hosts, "--fetch-hosts", timeout)


def _read_body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """Read in small pieces: a length or a chunk's size is only what the other side says."""
    flags = "--max-body-mb and --max-file-mb raise that"
    too_large = Failed(f"larger than {max_bytes / 1_000_000:.4g} MB; {flags}")
    if response.length is not None and response.length > max_bytes:
        raise too_large
    pieces, size = [], 0
    while piece := response.read1(CHUNK):
        size += len(piece)
        if size > max_bytes:
            raise too_large
        pieces.append(piece)
    if response.length:
        raise Failed("the answer ends too early")
    return b"".join(pieces)


def _exchange(
    url: str, talk: Talk[Found], allowed_hosts: Collection[str], flag: str, timeout: float
) -> Found:
    """Connect to a URL's host and return what came of talking to it, within so many seconds.

    Raises Failed.
    """
    end = time.monotonic() + timeout
    try:
        to = Destination.of(url)
        addresses = choose_addresses(to.host, to.port, allowed_hosts, flag=flag, seconds=timeout)
        with closing(http.client.HTTPConnection(to.host, to.port)) as connection:
            connection.auto_open = 0  # it would look the name up again
            connection.sock = _connect(addresses, to.port, end)
            if to.scheme == "https":
                connection.default_port = PORTS["https"]
                context = ssl.create_default_context()
                connection.sock = context.wrap_socket(connection.sock, server_hostname=to.host)
            with _ended_at(end, connection.sock):
                return talk(connection, to.target)
    except Blocked as reason:
        raise Failed(f"blocked: {reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as reason:
        if time.monotonic() >= end:
            raise Failed("timed out") from None
        # The text of others may hold the URL's query, and that a secret.
        name = type(reason).__name__
        why = WORDS.get(name) or (reason.strerror if isinstance(reason, OSError) else None)
        raise Failed(f"{name}: {why}" if why else name) from None


def _connect(addresses: list[str], port: int, end: float) -> socket.socket:
    """Connect to addresses that have been checked, and not to the name again."""
    *others, last = addresses
    for address in others:
        # An application often listens on one of localhost's two addresses.
        with suppress(OSError):
            sock = socket.create_connection((address, port), _left(end) / 2)
            break
    else:
        sock = socket.create_connection((last, port), _left(end))
    sock.settimeout(_left(end))
    return sock


def _left(end: float) -> float:
    return max(0.01, end - time.monotonic())


@contextmanager
def _ended_at(end: float, sock: socket.socket) -> Iterator[None]:
    """Shut a socket at a time: one that drips bytes never runs into its own timeout.

    Raises TimeoutError when that was done, whatever has been read by then.
    """
    expired = threading.Event()

    def shut() -> None:
        expired.set()
        with suppress(OSError):
            # Not the method of a TLS socket, which forgets its state that another thread uses.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    watchdog = threading.Timer(_left(end), shut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
        if expired.is_set():
            raise TimeoutError


def place_of(url: str) -> str:
    """Host and path of a URL, for a log: no name, no password, no query."""
    beginning = re.split("[?#]", url)[0]
    try:
        path = Destination.of(beginning).target
    except Blocked:
        return "an address that cannot be read"
    place = urlsplit(beginning).netloc.rpartition("@")[2] + path
    return place if len(place) <= PLACE_LENGTH else f"{place[:PLACE_LENGTH]}..."
