"""No call of this process reaches the real service, by whatever client: its name has no address."""

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
CONNECTS = ("connect", "connect_ex", "sendto")  # of a socket, which looks names up by itself
NO_PROXY = ("NO_PROXY", "no_proxy")


class Refused(RuntimeError):
    """A call that would leave the process.

    No OSError: a client must not take it for a network that has failed, and try again.
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
        """Raises Refused."""
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
        """Stand before look-ups and connections, and before asking a proxy, which looks up."""
        spots: list[tuple[Any, str, Callable[..., Any]]]
        spots = [(socket, name, self._before_look_up) for name in LOOK_UPS]
        spots += [(socket.socket, name, self._before_connect) for name in CONNECTS]
        spots += [(HTTPConnection, "set_tunnel", self._before_tunnel)]
        spots += [(HTTPConnection, "putrequest", self._before_request)]
        with ExitStack() as placed:
            for owner, name, guard in spots:
                placed.enter_context(patch.object(owner, name, guard(getattr(owner, name))))
            kept = {name: os.environ.get(name) for name in NO_PROXY}
            placed.callback(self._restore, kept)
            self._is_installed = True
            self._bypass_proxies()
            yield

    def _restore(self, kept: Mapping[str, str | None]) -> None:
        self._is_installed = False
        for name, before in kept.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before

    def _bypass_proxies(self) -> None:
        """So that a client asks no proxy, but looks the name up, and is refused."""
        for name in NO_PROXY if self._is_installed else ():
            named = list(filter(None, os.environ.get(name, "").split(",")))
            more = [host for host, times in self._hosts.items() if times and host not in named]
            os.environ[name] = ",".join([*named, *more])

    def _before_look_up(self, look_up: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(look_up)
        def checked(host: Any, *args: Any, **kwargs: Any) -> Any:
            self.check(host)
            return look_up(host, *args, **kwargs)

        return checked

    def _before_connect(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(connect)
        def checked(at: socket.socket, *args: Any) -> Any:
            if at.family in (socket.AF_INET, socket.AF_INET6):
                self.check(args[-1][0])  # the last argument is an address
            return connect(at, *args)

        return checked

    def _before_tunnel(self, set_tunnel: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(set_tunnel)
        def checked(at: HTTPConnection, host: str, *args: Any, **kwargs: Any) -> None:
            self.check(host)
            set_tunnel(at, host, *args, **kwargs)

        return checked

    def _before_request(self, put: Callable[..., Any]) -> Callable[..., Any]:
        """On a connection that was there before, or by a proxy that no tunnel is asked of."""

        @wraps(put)
        def checked(at: HTTPConnection, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            self.check(getattr(at, "_tunnel_host", None) or at.host)
            if url.startswith("http"):
                self.check(urlsplit(url).hostname)
            put(at, method, url, *args, **kwargs)

        return checked


def is_loopback(name: str) -> bool:
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        at = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(at, "ipv4_mapped", None)  # ::ffff:127.0.0.1
    return (mapped or at).is_loopback or at.is_unspecified


guarded = Guard()
