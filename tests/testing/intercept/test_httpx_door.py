"""What is particular to httpx and httpx2, and to the user's own routers of respx."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import pytest
import respx

from astria_emulator import Astria, mock_astria
from tests.testing.intercept.clients import HEADERS, URL

OTHER = "https://other.example/"
PROMPTS = f"{URL}/tunes/690204/prompts"


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


def fetch(url: str) -> httpx.Response:
    return httpx.get(url, headers=HEADERS)


def fetch_async(url: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(url, headers=HEADERS)

    return asyncio.run(ask())


@pytest.fixture(params=[fetch, fetch_async], ids=["sync", "async"])
def get(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_answer_is_streamed(library, astria: Astria):
    with library.stream("GET", f"{URL}/tunes", headers=HEADERS) as got:
        assert b"".join(got.iter_bytes(1)) == b"[]"


def test_answer_is_streamed_to_a_coroutine(library, astria: Astria):
    async def ask() -> bytes:
        async with (
            library.AsyncClient(headers=HEADERS) as client,
            client.stream("GET", f"{URL}/tunes") as got,
        ):
            return b"".join([part async for part in got.aiter_bytes(1)])

    assert asyncio.run(ask()) == b"[]"


def test_body_that_is_cut_can_be_read_until_then(library, astria: Astria):
    astria.fault("cut-body")
    with library.stream("GET", f"{URL}/tunes", headers=HEADERS) as got:
        assert got.status_code == 200
        parts = got.iter_raw()
        assert next(parts) == b"["
        with pytest.raises(library.RemoteProtocolError):
            next(parts)


def test_body_of_an_async_generator_is_sent(library, astria: Astria):
    async def body() -> AsyncIterator[bytes]:
        yield b'{"prompt": '
        yield b'{"text": "by the sea"}}'

    async def ask() -> int:
        headers = {**HEADERS, "Content-Type": "application/json"}
        async with library.AsyncClient(headers=headers) as client:
            return (await client.post(PROMPTS, content=body())).status_code

    assert asyncio.run(ask()) == 201


def test_head_has_no_body_and_is_not_cut(library, astria: Astria):
    got = library.head(f"{URL}/tunes", headers=HEADERS)
    assert (got.status_code, got.content, int(got.headers["Content-Length"]) > 0) == (
        200,
        b"",
        True,
    )


def test_proxy_is_not_asked(library, astria: Astria):
    with library.Client(proxy="http://127.0.0.1:9") as client:
        assert client.get(f"{URL}/tunes", headers=HEADERS).status_code == 200


def test_router_that_is_used_in_the_other_way_wins_too(get):
    """respx patches httpx itself where a router says using="httpx"."""
    with mock_astria(), respx.mock(using="httpx") as router:
        router.get(f"{URL}/tunes").respond(json=["stub"])
        router.get(OTHER).respond(json=["other"])
        assert get(f"{URL}/tunes").json() == ["stub"]
        assert get(OTHER).json() == ["other"]
        assert get(f"{URL}/packs").status_code == 200
    assert respx.mocks.HTTPXMocker.routers == respx.mocks.HTTPXMocker._patches == []


def test_router_that_lasts_longer_is_still_there_when_ours_is_left(get):
    ours = mock_astria()
    ours.__enter__()
    with respx.mock() as router:
        router.get(f"{URL}/tunes").respond(json=["stub"])
        router.get(OTHER).respond(json=["other"])
        assert get(f"{URL}/packs").status_code == 200
        ours.__exit__(None, None, None)
        assert (get(f"{URL}/tunes").json(), get(OTHER).json()) == (["stub"], ["other"])


def test_route_that_was_not_called_is_told(get):
    with mock_astria():
        router = respx.mock()
        router.start()
        router.get(f"{URL}/tunes").respond()
        get(f"{URL}/packs")
        with pytest.raises(AssertionError, match="not called"):
            router.stop()


def test_side_effects_of_a_route_come_once_each(get):
    with mock_astria(), respx.mock() as router:
        answers = [httpx.Response(500), httpx.Response(200, json=["second"])]
        route = router.get(f"{URL}/tunes").mock(side_effect=answers)
        assert get(f"{URL}/tunes").status_code == 500
        assert get(f"{URL}/tunes").json() == ["second"]
        assert route.call_count == len(router.calls) == 2


def test_route_that_passes_through_does(get, serve, make_app):
    url = serve(make_app())
    with mock_astria(), respx.mock() as router:
        router.route(host="127.0.0.1").pass_through()
        assert get(f"{url}/_emulator/health").json() == {"status": "ok"}


@respx.mock
@mock_astria
def test_decorators():
    respx.get(OTHER).respond(json=1)
    assert (fetch(OTHER).json(), fetch(f"{URL}/tunes").json()) == (1, [])


def test_fixtures(respx_mock, astria: Astria):
    respx_mock.get(OTHER).respond(json=1)
    assert (fetch(OTHER).json(), fetch(f"{URL}/tunes").json()) == (1, [])


def test_httpx2_asks_the_emulator_whatever_respx_knows_of_httpx(astria: Astria):
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{URL}/tunes").respond(json=["stub"])
        assert httpx2.get(f"{URL}/tunes", headers=HEADERS).json() == []
