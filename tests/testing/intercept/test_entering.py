"""Mocks that are entered at the same time, left in any order, and asked after that."""

import asyncio
import threading
import unittest
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import requests

from astria_emulator import Astria, mock_astria
from astria_emulator.testing.intercept import patches
from tests import PATIENCE_SECONDS
from tests.testing.intercept.clients import HEADERS, TUNE, URL


def create() -> int:
    return requests.post(f"{URL}/tunes", json=TUNE, headers=HEADERS).json()["id"]


def test_coroutines_that_run_at_the_same_time_have_a_state_each():
    @mock_astria
    async def ask(times: int, astria: Astria) -> int:
        async with httpx.AsyncClient(headers=HEADERS) as client:
            for _ in range(times):
                await client.post(f"{URL}/tunes", json=TUNE)
                await asyncio.sleep(0)
        for _ in range(10 - times):  # so that who came first is not who leaves first
            await asyncio.sleep(0)
        return len(astria.tunes)

    async def gather() -> list[int]:
        return await asyncio.gather(*map(ask, [1, 2, 3, 4]))

    assert asyncio.run(gather()) == [1, 2, 3, 4]


def test_one_mock_can_be_entered_by_many_threads():
    mock, together = mock_astria(), threading.Barrier(4, timeout=PATIENCE_SECONDS)
    made: dict[int, int] = {}

    def work(times: int) -> None:
        with mock as astria:
            together.wait()
            for _ in range(times):
                create()
            together.wait()
            made[times] = len(astria.tunes)

    threads = [threading.Thread(target=work, args=[times]) for times in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == {0: 0, 1: 1, 2: 2, 3: 3}


def test_mocks_are_left_in_any_order():
    first, second = mock_astria(), mock_astria()
    first.__enter__()
    inner = second.__enter__()
    first.__exit__(None, None, None)
    create()
    assert len(inner.tunes) == 1
    second.__exit__(None, None, None)
    assert (patches._active, patches._entered.get()) == ([], ())


def test_mock_that_has_been_left_shows_what_was_and_answers_no_more():
    with mock_astria() as astria:
        create()
    assert len(astria.tunes) == len(astria.requests) == 1
    with mock_astria() as later:  # which has the application of the first
        with pytest.raises(RuntimeError, match="has been left"):
            _ = astria.url
        create()
    assert (len(astria.tunes), len(later.tunes)) == (1, 1)


def test_thread_that_goes_on_reaches_the_next_mock():
    go, made = threading.Event(), []

    def work() -> None:
        go.wait(PATIENCE_SECONDS)
        made.append(create())

    thread = threading.Thread(target=work)
    with mock_astria() as first:
        thread.start()
    with mock_astria() as second:
        go.set()
        thread.join()
    assert (len(first.tunes), len(second.tunes), made) == (0, 1, [5000001])


@pytest.mark.parametrize("url", ["astria.test", "ftp://astria.test", "https://", f"{URL}/v1", ""])
def test_base_that_is_none_is_told(url):
    with pytest.raises(TypeError, match="expected a base such as"):
        mock_astria(base_url=url)


def test_clock_may_be_given_as_a_datetime():
    moment = datetime(2030, 5, 1, tzinfo=UTC)
    with mock_astria(clock=moment) as astria:
        assert astria.now == moment


def test_generator_is_refused_for_its_body_would_run_outside():
    def generator() -> Any:
        yield

    async def async_generator() -> Any:
        yield

    for made in (generator, async_generator):
        with pytest.raises(TypeError, match="is a generator"):
            mock_astria(made)


def test_case_of_unittest_is_within_from_its_set_up_to_its_tear_down():
    seen = []

    @mock_astria(seed=2)
    class Case(unittest.TestCase):
        astria: Astria

        def setUp(self) -> None:
            self.id = create()

        def tearDown(self) -> None:
            seen.append(len(self.astria.tunes))
            create()

        def test_one(self) -> None:
            assert create() == self.id + 1

        def test_two(self) -> None:
            assert self.id == 5000001

    class Inherits(Case):
        def test_three(self) -> None:
            assert self.id == 5000001

    @mock_astria
    class Async(unittest.IsolatedAsyncioTestCase):
        astria: Astria

        async def asyncSetUp(self) -> None:
            create()

        async def test_one(self) -> None:
            async with httpx.AsyncClient(headers=HEADERS) as client:
                assert len((await client.get(f"{URL}/tunes")).json()) == 1
            assert len(self.astria.tunes) == 1

    load = unittest.defaultTestLoader.loadTestsFromTestCase
    result = unittest.TestResult()
    unittest.TestSuite(map(load, (Case, Inherits, Async))).run(result)
    assert (result.errors, result.failures, result.testsRun) == ([], [], 6)
    assert sorted(seen) == [1, 1, 1, 2, 2]
    assert patches._active == []


def test_case_whose_set_up_fails_leaves_nothing_behind():
    @mock_astria
    class Case(unittest.TestCase):
        def setUp(self) -> None:
            raise LookupError

        def test_one(self) -> None: ...

    result = unittest.TestResult()
    Case("test_one").run(result)
    assert len(result.errors) == 1
    assert patches._active == []
