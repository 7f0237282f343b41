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
from dataclasses import dataclass
from urllib.parse import urlsplit

NEVER = tuple(
    ipaddress.ip_network(net)
    for net in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")
)


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


def choose_address(host: str, port: int, allowed_hosts: Collection[str]) -> str:
    """Resolve a host to an address that may be reached.

    Raises Blocked.
    """
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise Blocked(f"{host} does not resolve") from None
    found = [ipaddress.ip_address(info[4][0]) for info in resolved]
    for address in found:
        plain = getattr(address, "ipv4_mapped", None) or address
        if any(plain in net for net in NEVER) or plain.is_multicast or plain.is_unspecified:
            raise Blocked(f"{host} is a link-local, metadata or unroutable address")
        if not (plain.is_loopback or plain.is_private) and not ({"*", host} & set(allowed_hosts)):
            raise Blocked(f"{host} is public; --callback-hosts {host} lets it through")
    return str(found[0])


def post(url: str, body: bytes, *, allowed_hosts: Collection[str], timeout: float) -> Sent:
    """POST JSON to a URL whose path and query are sent as given. The answer's body is not read.

    timeout: seconds for all of it, however slowly the other side answers.
    """
    begin = time.monotonic()
    connection: http.client.HTTPConnection | None = None
    watchdog: threading.Timer | None = None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = choose_address(host, port, allowed_hosts)
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        sock = socket.create_connection((address, port), timeout)
        if parts.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        connection.sock = sock
        watchdog = threading.Timer(max(0.01, timeout - (time.monotonic() - begin)), _shut, [sock])
        watchdog.daemon = True
        watchdog.start()
        target = url.split("#", 1)[0].split(parts.netloc, 1)[1] or "/"
        connection.putrequest(
            "POST", target if target.startswith("/") else f"/{target}", skip_accept_encoding=True
        )
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Accept", "*/*"),
        ):
            connection.putheader(name, value)
        connection.endheaders(body)
        return Sent(connection.getresponse().status, None, time.monotonic() - begin)
    except Blocked as error:
        return Sent(None, f"blocked: {error}", time.monotonic() - begin)
    except (OSError, http.client.HTTPException, ValueError, UnicodeError) as error:
        late = time.monotonic() - begin >= timeout
        return Sent(
            None,
            "timed out" if late else f"{type(error).__name__}: {error}"[:200],
            time.monotonic() - begin,
        )
    finally:
        if watchdog:
            watchdog.cancel()
        if connection:
            connection.close()


def _shut(sock: socket.socket) -> None:
    """End a wait in another thread."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        sock.close()
