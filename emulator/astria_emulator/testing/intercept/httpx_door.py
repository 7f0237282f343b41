"""Intercept calls of httpx, by `respx`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
from respx.mocks import HTTPCoreMocker, HTTPXMocker, Mocker
from respx.models import AllMockedAssertionError, PassThrough

from astria_emulator.testing.intercept.exchange import InterceptedRequest, Lost, TimedOut

if TYPE_CHECKING:
    from astria_emulator.testing.intercept.patches import Find


class Router:
    """A router of respx that comes before all others, and answers for the emulators.

    core: the module whose exceptions are raised, httpcore or its replacement.
    """

    def __init__(self, find: "Find", mocker: type[Mocker], core: Any):
        self._find, self._mocker, self._core = find, mocker, core

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer a request by its emulator.

        Raises what makes respx ask the next router, or what httpx raises for a lost answer.
        """
        emulator = self._find(str(request.url))
        routers: list[Any] = [*self._mocker.routers]
        others = [router for router in routers if router is not self]
        if emulator is None or any(_has_stub(router, request) for router in others):
            if others:
                raise AllMockedAssertionError("another's")
            raise PassThrough("another's", request=request, origin=self)  # type: ignore[arg-type]
        patience = (request.extensions.get("timeout") or {}).get("read")
        headers = [
            (name.decode("latin-1"), text.decode("latin-1")) for name, text in request.headers.raw
        ]
        intercepted = InterceptedRequest(
            method=request.method,
            url=str(request.url),
            headers=headers,
            body=request.content,
            patience=patience,
        )
        try:
            response = emulator.exchange(intercepted)
        except TimedOut:
            raise self._core.ReadTimeout("The read operation timed out") from None
        except Lost:
            raise self._core.ReadError("[Errno 104] Connection reset by peer") from None
        stream = Cut(response.body, self._core) if response.is_cut else None
        content = None if stream else response.body
        return httpx.Response(
            response.status, headers=response.headers, content=content, stream=stream
        )

    async def async_handler(self, request: httpx.Request) -> httpx.Response:
        return self.handler(request)


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that ends too early: its first part can be read."""

    def __init__(self, body: bytes, core: Any):
        self._body, self._core = body, core

    def __iter__(self) -> Iterator[bytes]:
        yield self._body
        raise self._core.RemoteProtocolError(
            "peer closed connection without sending complete message body"
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


@contextmanager
def opened(find: "Find") -> Iterator[None]:
    """Answer calls of httpx by the emulators."""
    # The second one is only for `respx.mock(using="httpx")`, which starts it.
    with placed(find, HTTPCoreMocker, httpcore), placed(find, HTTPXMocker, httpx):
        HTTPCoreMocker.start()
        yield


@contextmanager
def placed(find: "Find", mocker: type[Mocker], core: Any) -> Iterator[None]:
    """Put a router before the user's own routers."""
    router: Any = Router(find, mocker, core)
    mocker.routers.insert(0, router)
    try:
        yield
    finally:
        mocker.unregister(router)
        mocker.stop()


def _has_stub(router: Any, request: httpx.Request) -> bool:
    """Return whether the user's router has an answer; this does not count as a call of it."""
    return any(route.pattern is None or route.pattern.match(request) for route in router.routes)
