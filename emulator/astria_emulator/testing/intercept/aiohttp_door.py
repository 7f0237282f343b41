"""Calls of aiohttp: they are sent to a server of our own in this process.

No library does it: aioresponses 0.7.9 cannot make the answers of aiohttp 3.14. So they go through a
socket; what is late is late by the emulator's clock all the same.
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
    """Lead calls of aiohttp to the emulators' servers."""
    send = ClientSession._request

    async def sent(session: ClientSession, method: str, url: Any, **more: Any) -> Any:
        asked = session._build_url(url)
        emulator = find(str(asked))
        if emulator is None:
            return await send(session, method, url, **more)
        here = URL(emulator.url)
        late, patience = _patience(more.get("timeout"), session.timeout)
        headers = session._prepare_headers(more.pop("headers", None))
        headers.setdefault("Host", str(asked.host_port_subcomponent))
        headers[PATIENCE] = patience
        at = asked.with_scheme(here.scheme).with_host(str(here.host)).with_port(here.port)
        answer = await send(session, method, at, **more, headers=headers)
        if LATE in answer.headers:
            answer.release()
            raise late
        return answer

    with patch.object(ClientSession, "_request", sent):
        yield


def _patience(given: Any, usual: ClientTimeout) -> tuple[Exception, str]:
    """What is raised when an answer is late, and after how many seconds; after none never."""
    if isinstance(given, int | float):
        given = ClientTimeout(total=given)
    limit = given if isinstance(given, ClientTimeout) else usual
    reading = SocketTimeoutError("Timeout on reading data from socket")
    limits = [(limit.sock_read, reading), (limit.total, TimeoutError())]
    found = [(seconds, error) for seconds, error in limits if seconds]
    if not found:
        return TimeoutError(), ""
    seconds, error = min(found, key=lambda one: one[0])
    return error, str(seconds)
