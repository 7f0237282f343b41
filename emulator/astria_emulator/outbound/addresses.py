"""Which addresses may be reached.

Loopback and private ones may, link-local and metadata ones never, all others are public: only when
their host is named.
"""

import ipaddress
import socket
import threading
from collections.abc import Collection
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _nets(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Written out: what `ipaddress` calls private differs between versions of Python, and takes in
# broadcast and reserved addresses. Carrier-grade NAT (100.64.0.0/10) is public: others share it,
# and clouds keep services in it.
PRIVATE = _nets(
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)
NEVER = _nets(
    # Link-local: here AWS, Azure, Google, OpenStack and others tell a machine its credentials.
    *("169.254.0.0/16", "fe80::/10"),
    # The same by addresses of their own: AWS, Google, Oracle, Scaleway; Alibaba, Azure, Oracle.
    *("fd00:ec2::/32", "fd20:ce::/64", "fd00:c1::/32", "fd00:42::42/128"),
    *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
    # Nobody in particular: this network, multicast, reserved and broadcast.
    *("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "ff00::/8"),
    # Tunnels and translations that hide an IPv4 address in ways that differ from site to site.
    *("2001::/32", "64:ff9b:1::/48", "::ffff:0:0:0/96"),
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Blocked(Exception):
    """The door stays shut.

    The text names the reason, and the flag that opens it if there is one.
    """


def choose_addresses(
    host: str, port: int, allowed_hosts: Collection[str], *, flag: str, seconds: float
) -> list[str]:
    """Resolve a host to addresses that may be reached, in the order to try them.

    flag: what lets a public host through. seconds: for the names' own server to answer.
    Raises Blocked, and TimeoutError.
    """
    plain = host.lower().rstrip(".")
    named = {allowed.lower().rstrip(".") for allowed in allowed_hosts}
    found = _resolve(host, port, seconds)
    for address in found:
        real = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        if any(real in net for net in NEVER):
            raise Blocked(f"{host} is a link-local, metadata or unroutable address")
        if not any(real in net for net in PRIVATE) and not {"*", plain} & named:
            raise Blocked(f"{host} is public; {flag} {plain} lets it through")
    return list(dict.fromkeys(found))


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """Look a name up in a thread of its own: the system's resolver takes its own time."""
    told: list[Any] = []

    def look_up() -> None:
        try:
            told.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError):
            told.append(())

    thread = threading.Thread(target=look_up, name="look up", daemon=True)
    thread.start()
    thread.join(seconds)
    if not told:
        raise TimeoutError
    if not told[0]:
        raise Blocked(f"{host} does not resolve")
    return [str(info[4][0]) for info in told[0]]


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    is_compatible = int(address) < 2**32 and not address.is_loopback  # ::169.254.169.254
    if address in NAT64 or is_compatible:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
