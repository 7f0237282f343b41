"""Intercept calls of aiohttp: they go to the emulator's own server in this process.

No library can do it: aioresponses 0.7.9 cannot build the answers of aiohttp 3.14. So the calls go
through a socket; but whether an answer is late still depends on the emulator's clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from aiohttp import ClientSession, ClientTimeout, SocketTimeoutError
from yarl import URL

from astria_emulator.testing.intercept.exchange import LATE, PATIENCE

if TYPE_CHECKING:
    from astria_emulator.testing.intercept.patches import Find


@contextmanager
def opened(find: "Find") -> Iterator[None]:
    """Send calls of aiohttp to the emulators' servers."""
    send = ClientSession._request

    async def request(session: ClientSession, method: str, url: Any, **kwargs: Any) -> Any:
        target = session._build_url(url)
        emulator = find(str(target))
        if emulator is None:
            return await send(session, method, url, **kwargs)
        base = URL(emulator.url)
        late, patience = _patience(kwargs.get("timeout"), session.timeout)
        headers = session._prepare_headers(kwargs.pop("headers", None))
        headers.setdefault("Host", str(target.host_port_subcomponent))
        headers[PATIENCE] = patience
        local = target.with_scheme(base.scheme).with_host(str(base.host)).with_port(base.port)
        answer = await send(session, method, local, **kwargs, headers=headers)
        if LATE in answer.headers:
            answer.release()
            raise late
        return answer

    with patch.object(ClientSession, "_request", request):
        yield


def _patience(timeout: Any, default: ClientTimeout) -> tuple[Exception, str]:
    """Return the error of a late answer, and the seconds to wait as text; empty: for ever."""
    if isinstance(timeout, int | float):
        timeout = ClientTimeout(total=timeout)
    limit = timeout if isinstance(timeout, ClientTimeout) else default
    reading = SocketTimeoutError("Timeout on reading data from socket")
    limits = [(limit.sock_read, reading), (limit.total, TimeoutError())]
    finite = [(seconds, error) for seconds, error in limits if seconds]
    if not finite:
        return TimeoutError(), ""
    seconds, error = min(finite, key=lambda limit: limit[0])
    return error, str(seconds)
