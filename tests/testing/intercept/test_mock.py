"""Ways to enter a mock, and what is left when it is left."""

import asyncio
import gc
import inspect
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from respx.mocks import Mocker

from astria_emulator import Astria, SetupError, mock_astria
from astria_emulator.services import Services
from tests import PATIENCE_SECONDS
from tests.testing.intercept.clients import HEADERS, TUNE, URL


def create() -> int:
    return requests.post(f"{URL}/tunes", json=TUNE, headers=HEADERS).json()["id"]


def test_function_is_decorated():
    @mock_astria
    def plain(number: int) -> int:
        create()
        return number

    @mock_astria(seed=3)
    def given(number: int, *, astria: Astria) -> int:
        create()
        return number + len(astria.tunes)

    assert (plain(4), given(4)) == (4, 5)
    assert given(4) == 5, "each call has a state of its own"
    assert plain.__name__ == "plain"
    assert list(inspect.signature(given).parameters) == ["number"]


def test_coroutine_function_is_decorated():
    @mock_astria
    async def ask(astria: Astria) -> int:
        create()
        await asyncio.sleep(0)
        return len(astria.tunes)

    assert inspect.iscoroutinefunction(ask)
    assert asyncio.run(ask()) == 1


def test_class_of_tests_is_decorated():
    @mock_astria
    class TestIt:
        def helper(self) -> str:
            return "as it was"

        def test_one(self, astria: Astria) -> int:
            create()
            return len(astria.tunes)

    made = TestIt()
    assert (made.test_one(), made.test_one(), made.helper()) == (1, 1, "as it was")


def test_async_with_is_a_way_too():
    async def ask() -> int:
        async with mock_astria() as astria:
            create()
            return len(astria.tunes)

    assert asyncio.run(ask()) == 1


def test_mock_can_be_entered_again_with_a_new_state():
    mock = mock_astria()
    for _ in range(2):
        with mock as astria:
            assert create() == 5000001
            assert len(astria.tunes) == 1


def test_innermost_answers_and_the_outer_one_is_back_after_it():
    with mock_astria() as outer:
        create()
        with mock_astria() as inner:
            create()
            create()
        create()
    assert (len(outer.tunes), len(inner.tunes)) == (2, 2)


def test_nested_mocks_of_two_services():
    with mock_astria() as one, mock_astria(base_url="https://astria.other.example") as other:
        create()
        requests.post("https://astria.other.example/tunes", json=TUNE, headers=HEADERS)
    assert (len(one.tunes), len(other.tunes)) == (1, 1)


def test_each_thread_has_the_mock_that_it_entered():
    together = threading.Barrier(4, timeout=PATIENCE_SECONDS)

    def work(times: int) -> int:
        with mock_astria() as astria:
            together.wait()
            for _ in range(times):
                create()
            together.wait()
            return len(astria.tunes)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, [1, 2, 3, 4])) == [1, 2, 3, 4]


def test_threads_of_the_application_reach_the_mock(astria: Astria):
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: create(), range(24)))
    assert sorted(ids) == [tune.id for tune in astria.tunes]


def test_exception_leaves_nothing_behind():
    before = HTTPAdapter.send
    with pytest.raises(ZeroDivisionError), mock_astria():
        _ = 1 / 0
    assert HTTPAdapter.send is before


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"train_seconds": -1}, SetupError),
        ({"scenario": "worst-day"}, SetupError),
        ({"sed": 1}, TypeError),
        ({"other_hosts": "block"}, TypeError),
        ({"deliver_to": 7}, TypeError),
    ],
)
def test_setting_that_is_wrong_is_told(settings, error):
    before = HTTPAdapter.send
    with pytest.raises(error), mock_astria(**settings):
        pass
    assert HTTPAdapter.send is before
    with mock_astria():  # and the next one is as good as ever
        create()


def test_nothing_to_intercept_with_is_told(monkeypatch):
    from astria_emulator.testing.intercept import patches

    monkeypatch.setattr(patches, "_is_found", lambda *packages: False)
    with pytest.raises(SetupError, match="pip install"), mock_astria():
        pass


def footprint() -> dict[str, object]:
    gc.collect()
    return {
        "threads": {thread.name for thread in threading.enumerate()},
        "files": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
        "patches": [
            HTTPAdapter.send, responses.RequestsMock.unbound_on_send, socket.getaddrinfo,
            socket.gethostbyname, socket.gethostbyname_ex,
        ],
        "routers": [mocker.routers for mocker in Mocker.registry.values()],
        "variables": dict(os.environ),
        "states": sum(isinstance(one, Services) for one in gc.get_objects()),
    }  # fmt: skip


def flow(*, with_url: bool) -> None:
    with mock_astria() as astria:
        body = {"tune": {**TUNE["tune"], "callback": "https://app.example/hook"}}
        requests.post(f"{URL}/tunes", json=body, headers=HEADERS)
        astria.finish()
        if with_url:
            assert requests.get(f"{astria.url}/tunes", headers=HEADERS).ok
        astria.advance(days=31)
        assert (len(astria.callbacks), astria.tunes[0].state) == (1, "expired")


def test_a_thousand_flows_leave_no_thread_file_patch_or_state():
    flow(with_url=True)
    before = footprint()
    for at in range(1000):
        flow(with_url=at % 100 == 0)
    assert footprint() == before
