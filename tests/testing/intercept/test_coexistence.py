"""The user's own mocks of requests and httpx, begun before the emulator's or within it."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import requests
import responses
import respx

from astria_emulator import Astria, mock_astria
from tests.testing.intercept.clients import HEADERS, URL

OTHER = "https://other.example/"


@pytest.fixture(params=["before", "within"])
def both(request: pytest.FixtureRequest) -> Callable[[Any], Astria]:
    """Enters the user's mock and the emulator's, in either order."""
    with ExitStack() as entered:

        def enter(theirs: Any) -> Astria:
            ours = mock_astria()
            order = [theirs, ours] if request.param == "before" else [ours, theirs]
            made = [entered.enter_context(one) for one in order]
            return made[order.index(ours)]

        yield enter


def test_stub_of_another_host_is_the_users(both):
    mock = responses.RequestsMock()
    astria = both(mock)
    mock.get(OTHER, json={"mine": True})
    assert requests.get(OTHER).json() == {"mine": True}
    assert requests.get(f"{URL}/tunes", headers=HEADERS).json() == []
    assert len(astria.requests) == 1


def test_default_mock_is_the_users():
    with responses.mock as mock:
        mock.get(OTHER, body="mine")
        mock.get(f"{URL}/tunes", status=418)
        with mock_astria() as astria:
            assert requests.get(OTHER).text == "mine"
            assert requests.get(f"{URL}/tunes", headers=HEADERS).status_code == 418
            assert requests.get(f"{URL}/packs", headers=HEADERS).status_code == 200
        assert len(astria.requests) == 1


def test_host_that_nobody_has_is_refused_by_the_users_mock(both):
    both(responses.RequestsMock())
    with pytest.raises(requests.exceptions.ConnectionError, match="refused by Responses"):
        requests.get(OTHER)


def test_users_stub_of_the_service_wins_within():
    with mock_astria() as astria, responses.RequestsMock() as mock:
        mock.get(f"{URL}/tunes", status=418)
        assert requests.get(f"{URL}/tunes", headers=HEADERS).status_code == 418
        assert requests.get(f"{URL}/packs", headers=HEADERS).status_code == 200
    assert [entry.path for entry in astria.requests] == ["/packs"]


def test_decorated_function_is_within():
    @responses.activate
    def ask() -> int:
        responses.get(OTHER, status=204)
        assert requests.get(OTHER).status_code == 204
        return requests.get(f"{URL}/tunes", headers=HEADERS).status_code

    with mock_astria():
        assert ask() == 200


def test_passthrough_of_the_users_mock_stays_theirs(serve, make_app):
    url = serve(make_app())
    with mock_astria() as astria, responses.RequestsMock() as mock:
        mock.add_passthru(url)
        assert requests.get(f"{url}/_emulator/health").json() == {"status": "ok"}
    assert astria.requests == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_respx_routes_of_another_host_are_the_users(both, kind):
    mock = respx.mock(assert_all_called=True)
    astria = both(mock)
    route = mock.get(OTHER).respond(json={"mine": True})
    assert get(kind, OTHER).json() == {"mine": True}
    assert get(kind, f"{URL}/tunes").json() == []
    assert (route.call_count, len(astria.requests)) == (1, 1)
    with pytest.raises(respx.models.AllMockedAssertionError):
        get(kind, "https://nobody.example/")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_respx_route_of_the_service_wins(both, kind):
    mock = respx.mock(assert_all_called=False)
    astria = both(mock)
    mock.get(f"{URL}/tunes").respond(418)
    assert get(kind, f"{URL}/tunes").status_code == 418
    assert get(kind, f"{URL}/packs").status_code == 200
    assert [entry.path for entry in astria.requests] == ["/packs"]


def get(kind: str, url: str) -> httpx.Response:
    if kind == "sync":
        return httpx.get(url, headers=HEADERS)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(url, headers=HEADERS)

    return asyncio.run(ask())


def test_respx_alone_is_as_before():
    with mock_astria():
        httpx.get(f"{URL}/tunes", headers=HEADERS)
    with respx.mock:
        respx.get(OTHER).respond(204)
        assert httpx.get(OTHER).status_code == 204
    assert respx.mocks.HTTPCoreMocker.routers == []


def test_users_own_transports_are_left_alone(astria):
    transport = httpx.MockTransport(lambda request: httpx.Response(418))
    with httpx.Client(transport=transport) as client:
        assert client.get(f"{URL}/tunes").status_code == 418
    assert astria.requests == []
