"""Whom callbacks are delivered to: a WSGI or ASGI application, or a server by its address."""

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from astria_emulator.outbound import door
from astria_emulator.outbound.door import PostResult
from astria_emulator.outbound.outbox import TIMEOUT_SECONDS
from astria_emulator.testing.intercept.exchange import Asked, exchange

log = logging.getLogger(__name__)

NEEDS_HTTPX = "an ASGI application is called through httpx: pip install 'astria-emulator[testing]'"


class Receiver(Protocol):
    """Takes a callback."""

    def post(self, url: str, body: bytes) -> PostResult: ...


def receiver_of(target: Any) -> Receiver:
    """The receiver that an application, or the base of an address, stands for.

    Raises TypeError.
    """
    if isinstance(target, str) and urlsplit(target).scheme in ("http", "https"):
        return ServerReceiver(target)
    if not callable(target):
        raise TypeError(f"{target!r}: expected a WSGI or ASGI application, or http://HOST")
    # An object that is called like a function of its class, or a function, a partial one too.
    if any(map(inspect.iscoroutinefunction, (target, type(target).__call__))):
        return ApplicationReceiver(_asgi_caller(target))
    return ApplicationReceiver(lambda asked: exchange(target, asked, clock=None).status)


@dataclass(frozen=True)
class ServerReceiver:
    """A server on this machine, or wherever; the path and query of a callback are kept."""

    base: str

    def post(self, url: str, body: bytes) -> PostResult:
        base, asked = urlsplit(self.base), urlsplit(url)
        path = base.path.rstrip("/") + asked.path
        at = urlunsplit((base.scheme, base.netloc, path, asked.query, ""))
        return door.post(at, body, allowed_hosts=("*",), timeout=TIMEOUT_SECONDS)


@dataclass(frozen=True)
class ApplicationReceiver:
    """An application in this process. One that raises has failed, and its exception is logged."""

    call: Callable[[Asked], int]

    def post(self, url: str, body: bytes) -> PostResult:
        begin = time.monotonic()
        headers = [("Content-Type", "application/json"), ("Accept", "*/*")]
        status, error = None, None
        try:
            status = self.call(Asked("POST", url, headers, body))
        except Exception as raised:
            log.exception("the receiver of a callback")
            error = type(raised).__name__
        return PostResult(status, error, time.monotonic() - begin)


def _asgi_caller(application: Any) -> Callable[[Asked], int]:
    try:
        import httpx
    except ImportError:
        raise TypeError(NEEDS_HTTPX) from None

    async def call(asked: Asked) -> int:
        request = httpx.Request(
            asked.method, asked.url, headers=list(asked.headers), content=asked.body
        )
        # Without a client, which a mock of the user's own may watch.
        answer = await httpx.ASGITransport(app=application).handle_async_request(request)
        return answer.status_code

    def call_apart(asked: Asked) -> int:
        # In a thread of its own: this one may have a loop, which is busy with whoever made us send
        # or not to be touched. The context tells which emulator this thread asks.
        with ThreadPoolExecutor(1) as apart:
            return apart.submit(copy_context().run, asyncio.run, call(asked)).result()

    return call_apart
