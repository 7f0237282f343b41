"""The one guarded door for requests that leave.

Loopback and private addresses may be reached, link-local and metadata addresses never, public ones
only when their host is named. The address that was checked is the one that is connected to, and no
redirect is followed.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

NEVER = tuple(
    ipaddress.ip_network(net)
    for net in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "192.0.0.192/32",
    )
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Blocked(Exception):
    """The door stays shut.

    The text names the reason, and the flag that opens it if there is one.
    """


@dataclass(frozen=True)
class Sent:
    """How a request that left has ended: a status, or an error."""

    status: int | None
    error: str | None
    seconds: float


def choose_addresses(host: str, port: int, allowed_hosts: Collection[str]) -> list[str]:
    """Resolve a host to addresses that may be reached, in the order to try them.

    Raises Blocked.
    """
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise Blocked(f"{host} does not resolve") from None
    found = [str(info[4][0]) for info in resolved]
    for address in found:
        real = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        if any(real in net for net in NEVER) or real.is_multicast or real.is_unspecified:
            raise Blocked(f"{host} is a link-local, metadata or unroutable address")
        if not (real.is_loopback or real.is_private) and not {"*", host} & set(allowed_hosts):
            raise Blocked(f"{host} is public; --callback-hosts {host} lets it through")
    return list(dict.fromkeys(found))


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def post(url: str, body: bytes, *, allowed_hosts: Collection[str], timeout: float) -> Sent:
    """POST JSON to a URL whose path and query are sent as given. The answer's body is not read.

    timeout: seconds for all of it, however slowly the other side answers.
    """
    begin = time.monotonic()
    status, error = None, None
    try:
        with closing(_connect(url, allowed_hosts, timeout)) as connection:
            left = max(0.01, begin + timeout - time.monotonic())
            watchdog = threading.Timer(left, _shut, [connection.sock])
            watchdog.daemon = True
            watchdog.start()
            try:
                status = _send(connection, url, body)
            finally:
                watchdog.cancel()
    except Blocked as reason:
        error = f"blocked: {reason}"
    except (OSError, http.client.HTTPException, ValueError) as reason:
        late = time.monotonic() - begin >= timeout
        # The text of others may hold the URL's query, and that a secret.
        why = f": {reason.strerror}" if isinstance(reason, OSError) and reason.strerror else ""
        error = "timed out" if late else f"{type(reason).__name__}{why}"
    return Sent(status, error, time.monotonic() - begin)


def _connect(
    url: str, allowed_hosts: Collection[str], timeout: float
) -> http.client.HTTPConnection:
    """Connect to an address that has been checked, and not to the name again."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    *others, last = choose_addresses(host, port, allowed_hosts)
    for address in others:
        # An application often listens on one of localhost's two addresses.
        with suppress(OSError):
            connection.sock = socket.create_connection((address, port), timeout / 2)
            break
    else:
        connection.sock = socket.create_connection((last, port), timeout)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
    return connection


def _send(connection: http.client.HTTPConnection, url: str, body: bytes) -> int:
    """Send the request and return the answer's status."""
    target = url.split("#", 1)[0].partition("//")[2][len(urlsplit(url).netloc) :]
    target = target if target.startswith("/") else f"/{target}"
    connection.putrequest("POST", target, skip_accept_encoding=True)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Accept", "*/*")
    connection.endheaders(body)
    return connection.getresponse().status


def place_of(url: str) -> str:
    """Host and path of a URL, for a log: no name, no password, no query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _shut(sock: socket.socket) -> None:
    """End a wait in another thread."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        sock.close()
