"""Calls of httpx, by `respx`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
from respx.mocks import HTTPCoreMocker, HTTPXMocker, Mocker
from respx.models import AllMockedAssertionError, PassThrough

from astria_emulator.testing.intercept.exchange import Asked, Lost, TimedOut

if TYPE_CHECKING:
    from astria_emulator.testing.intercept.patches import Find


class Router:
    """Stands among the routers of respx, before all others, and answers for the emulators.

    core: httpcore, or what takes its place: whose exceptions are raised.
    """

    def __init__(self, find: "Find", mocker: type[Mocker], core: Any):
        self._find, self._mocker, self._core = find, mocker, core

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Raises what respx reads as another's, or the client's library as a lost answer."""
        emulator = self._find(str(request.url))
        routers: list[Any] = [*self._mocker.routers]
        others = [one for one in routers if one is not self]
        if emulator is None or any(_has_stub(router, request) for router in others):
            if others:
                raise AllMockedAssertionError("another's")
            raise PassThrough("another's", request=request, origin=self)  # type: ignore[arg-type]
        patience = (request.extensions.get("timeout") or {}).get("read")
        headers = [
            (name.decode("latin-1"), text.decode("latin-1")) for name, text in request.headers.raw
        ]
        asked = Asked(request.method, str(request.url), headers, request.content, patience)
        try:
            answered = emulator.exchange(asked)
        except TimedOut:
            raise self._core.ReadTimeout("The read operation timed out") from None
        except Lost:
            raise self._core.ReadError("[Errno 104] Connection reset by peer") from None
        stream = Cut(answered.body, self._core) if answered.is_cut else None
        content = None if stream else answered.body
        return httpx.Response(
            answered.status, headers=answered.headers, content=content, stream=stream
        )

    async def async_handler(self, request: httpx.Request) -> httpx.Response:
        return self.handler(request)


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that ends too early: what there is of it can be read."""

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
    """Lead calls of httpx to the emulators."""
    # The second only stands ready for `respx.mock(using="httpx")`, which starts it.
    with placed(find, HTTPCoreMocker, httpcore), placed(find, HTTPXMocker, httpx):
        HTTPCoreMocker.start()
        yield


@contextmanager
def placed(find: "Find", mocker: type[Mocker], core: Any) -> Iterator[None]:
    """Stand before the user's own routers."""
    router: Any = Router(find, mocker, core)
    mocker.routers.insert(0, router)
    try:
        yield
    finally:
        mocker.unregister(router)
        mocker.stop()


def _has_stub(router: Any, request: httpx.Request) -> bool:
    """Whether a router of the user's own has an answer; asking it counts no call."""
    return any(route.pattern is None or route.pattern.match(request) for route in router.routes)
