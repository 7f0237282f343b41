"""Which addresses a request may go to.

Loopback and private addresses are allowed. Link-local and metadata addresses never are. All others
are public: they are allowed only when their host is named.
"""

import ipaddress
import socket
import threading
from collections.abc import Collection
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _nets(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Written out: what `ipaddress` calls private differs between versions of Python, and includes
# broadcast and reserved addresses. Carrier-grade NAT (100.64.0.0/10) is public: others share it,
# and clouds keep services in it.
PRIVATE = _nets(
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)
NEVER = _nets(
    # Link-local: AWS, Azure, Google, OpenStack and others serve a machine's credentials here.
    *("169.254.0.0/16", "fe80::/10"),
    # Metadata services elsewhere: AWS, Google, Oracle, Scaleway; Alibaba, Azure, Oracle.
    *("fd00:ec2::/32", "fd20:ce::/64", "fd00:c1::/32", "fd00:42::42/128"),
    *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
    # No single host: this network, multicast, reserved and broadcast.
    *("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "ff00::/8"),
    # Tunnels and translations that hide an IPv4 address in ways that differ from site to site.
    *("2001::/32", "64:ff9b:1::/48", "::ffff:0:0:0/96"),
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Blocked(Exception):
    """An address that may not be reached.

    The text names the reason, and the flag that allows the address if there is one.
    """


def choose_addresses(
    host: str, port: int, allowed_hosts: Collection[str], *, flag: str, seconds: float
) -> list[str]:
    """Resolve a host to addresses that may be reached, in the order to try them.

    flag: the command-line flag that allows a public host. seconds: limit for the name lookup.
    Raises Blocked and TimeoutError.
    """
    plain = host.lower().rstrip(".")
    named = {allowed.lower().rstrip(".") for allowed in allowed_hosts}
    addresses = _resolve(host, port, seconds)
    for address in addresses:
        real = _unwrap(ipaddress.ip_address(address.partition("%")[0]))
        if any(real in net for net in NEVER):
            raise Blocked(f"{host} is a link-local, metadata or unroutable address")
        if not any(real in net for net in PRIVATE) and not {"*", plain} & named:
            raise Blocked(f"{host} is public; {flag} {plain} lets it through")
    return list(dict.fromkeys(addresses))


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """Look a name up in a separate thread: the system's resolver has no time limit.

    Raises Blocked and TimeoutError.
    """
    answers: list[Any] = []

    def look_up() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError):
            answers.append(())

    thread = threading.Thread(target=look_up, name="look up", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise TimeoutError
    if not answers[0]:
        raise Blocked(f"{host} does not resolve")
    return [str(info[4][0]) for info in answers[0]]


def _unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    is_compatible = int(address) < 2**32 and not address.is_loopback  # ::169.254.169.254
    if address in NAT64 or is_compatible:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
