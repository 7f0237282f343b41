"""The guard: no client in this process can reach the real service, whose name has no address."""

import ipaddress
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from http.client import HTTPConnection
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from astria_emulator.config import ASTRIA_HOSTS

LOOK_UPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
CONNECTS = ("connect", "connect_ex", "sendto")  # methods of a socket that look names up
NO_PROXY = ("NO_PROXY", "no_proxy")


class Refused(RuntimeError):
    """A call that would leave the process.

    Not an OSError: a client must not take it for a network error, and try again.
    """


class Guard:
    """Refuses to look up names while a mock is active."""

    def __init__(self) -> None:
        self._hosts: Counter[str] = Counter()
        self._refusing = 0  # mocks that refuse all hosts
        self._is_installed = False

    def add(self, host: str, *, refuses_others: bool) -> None:
        self._hosts.update({host, *ASTRIA_HOSTS})
        self._refusing += refuses_others
        self._bypass_proxies()

    def remove(self, host: str, *, refuses_others: bool) -> None:
        self._hosts.subtract({host, *ASTRIA_HOSTS})
        self._refusing -= refuses_others

    def check(self, host: Any) -> None:
        """Refuse a host that calls must not reach.

        Raises Refused.
        """
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        name = name.lower().rstrip(".")
        if is_loopback(name):
            return
        if self._hosts[name] > 0:
            raise Refused(
                f"mock_astria keeps calls from {name}, and this client is not intercepted: use "
                "requests, httpx or aiohttp (pip install 'astria-emulator[testing]' brings what "
                "that takes), or give it `astria.url` as its base address"
            )
        if self._refusing > 0:
            raise Refused(f"mock_astria(other_hosts='refuse') keeps calls from {name}")

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Check hosts before look-ups and connections, and before requests to a proxy."""
        patches: list[tuple[Any, str, Callable[..., Any]]]
        patches = [(socket, name, self._before_look_up) for name in LOOK_UPS]
        patches += [(socket.socket, name, self._before_connect) for name in CONNECTS]
        patches += [(HTTPConnection, "set_tunnel", self._before_tunnel)]
        patches += [(HTTPConnection, "putrequest", self._before_request)]
        with ExitStack() as stack:
            for owner, name, guard in patches:
                stack.enter_context(patch.object(owner, name, guard(getattr(owner, name))))
            variables = {name: os.environ.get(name) for name in NO_PROXY}
            stack.callback(self._restore, variables)
            self._is_installed = True
            self._bypass_proxies()
            yield

    def _restore(self, variables: Mapping[str, str | None]) -> None:
        self._is_installed = False
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _bypass_proxies(self) -> None:
        """Make clients look the name up and be refused, instead of asking a proxy."""
        for name in NO_PROXY if self._is_installed else ():
            named = list(filter(None, os.environ.get(name, "").split(",")))
            missing = [host for host, count in self._hosts.items() if count and host not in named]
            os.environ[name] = ",".join([*named, *missing])

    def _before_look_up(self, look_up: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(look_up)
        def checked(host: Any, *args: Any, **kwargs: Any) -> Any:
            self.check(host)
            return look_up(host, *args, **kwargs)

        return checked

    def _before_connect(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(connect)
        def checked(sock: socket.socket, *args: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                self.check(args[-1][0])  # the last argument is an address
            return connect(sock, *args)

        return checked

    def _before_tunnel(self, set_tunnel: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(set_tunnel)
        def checked(connection: HTTPConnection, host: str, *args: Any, **kwargs: Any) -> None:
            self.check(host)
            set_tunnel(connection, host, *args, **kwargs)

        return checked

    def _before_request(self, put: Callable[..., Any]) -> Callable[..., Any]:
        """Check requests on connections that are already open, or to a proxy without a tunnel."""

        @wraps(put)
        def checked(
            connection: HTTPConnection, method: str, url: str, *args: Any, **kwargs: Any
        ) -> None:
            self.check(getattr(connection, "_tunnel_host", None) or connection.host)
            if url.startswith("http"):
                self.check(urlsplit(url).hostname)
            put(connection, method, url, *args, **kwargs)

        return checked


def is_loopback(name: str) -> bool:
    """Return whether a host name or address is this machine's."""
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:127.0.0.1
    return (mapped or address).is_loopback or address.is_unspecified


guarded = Guard()
