"""Intercept calls of httpx2: as `respx` does for httpcore, whose next version is httpcore2."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore2
from respx.mocks import HTTPCoreMocker

from astria_emulator.testing.intercept.httpx_door import placed

if TYPE_CHECKING:
    from astria_emulator.testing.intercept.patches import Find


class HTTPCore2Mocker(HTTPCoreMocker):
    """Patches httpcore2 as respx patches httpcore."""

    name = "httpcore2"
    targets = [target.replace("httpcore", "httpcore2") for target in HTTPCoreMocker.targets]  # noqa: RUF012

    @classmethod
    def from_sync_httpx_response(cls, httpx_response: Any, target: Any, **kwargs: Any) -> Any:
        return httpcore2.Response(
            status=httpx_response.status_code,
            headers=httpx_response.headers.raw,
            content=httpx_response.stream,
            extensions=httpx_response.extensions,
        )

    @classmethod
    async def from_async_httpx_response(
        cls, httpx_response: Any, target: Any, **kwargs: Any
    ) -> Any:
        return cls.from_sync_httpx_response(httpx_response, target, **kwargs)


@contextmanager
def opened(find: "Find") -> Iterator[None]:
    """Answer calls of httpx2 by the emulators."""
    with placed(find, HTTPCore2Mocker, httpcore2):
        HTTPCore2Mocker.start()
        yield
