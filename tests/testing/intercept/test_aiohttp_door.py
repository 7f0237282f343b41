"""What is particular to aiohttp, which comes through a socket."""

import asyncio
from typing import Any

import aiohttp
import pytest

from astria_emulator import Astria
from astria_emulator.testing.intercept.exchange import LATE, PATIENCE
from tests.testing.intercept.clients import HEADERS, TUNE, URL


def ask(session: Any, request: Any) -> Any:
    """Ask, with arguments for the session and for the request."""

    async def get() -> Any:
        async with (
            aiohttp.ClientSession(headers=HEADERS, **session) as client,
            client.get(f"{URL}/tunes", **request) as got,
        ):
            return await got.json()

    return asyncio.run(get())


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"total": 60}, TimeoutError),
        ({"sock_read": 60}, aiohttp.SocketTimeoutError),
        ({"total": 90, "sock_read": 60}, aiohttp.SocketTimeoutError),
        ({"total": 6000, "sock_read": 6000}, None),
        ({"total": None}, None),
    ],
)
def test_what_is_late_is_late_by_the_emulators_clock(astria: Astria, limits, error):
    astria.fault("latency", seconds=3600)
    limit = {"timeout": aiohttp.ClientTimeout(**limits)}
    before = astria.now
    for session, request in (limit, {}), ({}, limit):
        if error:
            with pytest.raises(error):
                ask(session, request)
        else:
            assert ask(session, request) == []
    assert (astria.now - before).total_seconds() >= 7200
    assert [entry.status for entry in astria.requests] == [200, 200]


def test_nothing_of_the_way_through_a_socket_is_seen(astria: Astria):
    async def post() -> Any:
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{URL}/tunes", json=TUNE, headers=HEADERS) as got,
        ):
            return await got.json(), dict(got.headers)

    made, headers = asyncio.run(post())
    assert made["url"] == f"{URL}/tunes/{made['id']}.json"
    [entry] = astria.requests
    assert entry.headers["Host"] == "api.astria.ai"
    assert not {PATIENCE, LATE} & {name.title() for name in (*headers, *entry.headers)}


def test_other_hosts_are_asked_as_before(astria: Astria, serve, make_app):
    url = serve(make_app())

    async def get() -> Any:
        async with (
            aiohttp.ClientSession(base_url=url) as client,
            client.get("/_emulator/health") as got,
        ):
            return await got.json()

    assert asyncio.run(get()) == {"status": "ok"}
    assert astria.requests == []


def test_base_url_of_a_session_is_heeded(astria: Astria):
    async def get() -> Any:
        async with (
            aiohttp.ClientSession(base_url=URL, headers=HEADERS) as client,
            client.get("/tunes", params={"limit": 3}) as got,
        ):
            return await got.json()

    assert asyncio.run(get()) == []
    assert astria.requests[0].query == {"limit": "3"}
