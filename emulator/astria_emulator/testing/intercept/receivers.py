"""Receivers of callbacks: a WSGI or ASGI application, or a server by its address."""

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
from astria_emulator.testing.intercept.exchange import InterceptedRequest, exchange

log = logging.getLogger(__name__)

NEEDS_HTTPX = "an ASGI application is called through httpx: pip install 'astria-emulator[testing]'"


class Receiver(Protocol):
    """Takes a callback."""

    def post(self, url: str, body: bytes) -> PostResult: ...


def receiver_of(target: Any) -> Receiver:
    """Return the receiver for an application or a base address.

    Raises TypeError.
    """
    if isinstance(target, str) and urlsplit(target).scheme in ("http", "https"):
        return ServerReceiver(target)
    if not callable(target):
        raise TypeError(f"{target!r}: expected a WSGI or ASGI application, or http://HOST")
    # A function, also a partial one, or an object whose class defines `__call__`.
    if any(map(inspect.iscoroutinefunction, (target, type(target).__call__))):
        return ApplicationReceiver(_asgi_caller(target))
    return ApplicationReceiver(lambda callback: exchange(target, callback, clock=None).status)


@dataclass(frozen=True)
class ServerReceiver:
    """A server at a base address; a callback keeps its path and query."""

    base: str

    def post(self, url: str, body: bytes) -> PostResult:
        base, parts = urlsplit(self.base), urlsplit(url)
        path = base.path.rstrip("/") + parts.path
        target = urlunsplit((base.scheme, base.netloc, path, parts.query, ""))
        return door.post(target, body, allowed_hosts=("*",), timeout=TIMEOUT_SECONDS)


@dataclass(frozen=True)
class ApplicationReceiver:
    """An application in this process. If it raises, the call fails and the exception is logged."""

    call: Callable[[InterceptedRequest], int]

    def post(self, url: str, body: bytes) -> PostResult:
        begin = time.monotonic()
        headers = [("Content-Type", "application/json"), ("Accept", "*/*")]
        status, error = None, None
        try:
            status = self.call(
                InterceptedRequest(method="POST", url=url, headers=headers, body=body)
            )
        except Exception as exception:
            log.exception("the receiver of a callback")
            error = type(exception).__name__
        return PostResult(status, error, time.monotonic() - begin)


def _asgi_caller(application: Any) -> Callable[[InterceptedRequest], int]:
    try:
        import httpx
    except ImportError:
        raise TypeError(NEEDS_HTTPX) from None

    async def call(callback: InterceptedRequest) -> int:
        request = httpx.Request(
            callback.method, callback.url, headers=list(callback.headers), content=callback.body
        )
        # Not through a client, which the user's own mock may intercept.
        answer = await httpx.ASGITransport(app=application).handle_async_request(request)
        return answer.status_code

    def call_apart(callback: InterceptedRequest) -> int:
        # In another thread: this one may have a running loop. The copied context says which
        # emulator answers calls of that thread.
        with ThreadPoolExecutor(1) as apart:
            return apart.submit(copy_context().run, asyncio.run, call(callback)).result()

    return call_apart
