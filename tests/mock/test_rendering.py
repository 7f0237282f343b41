"""Two threads draw, each picture once, and keep no memory."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest

from astria_emulator.errors import Unavailable
from astria_emulator.mock import rendering
from astria_emulator.mock.rendering import Renderer
from tests import PATIENCE_SECONDS, wait_until
from tests.mock.memory import memory_after_drawing


class Gate:
    """Draws nothing before it is opened; notes what is drawn, and where."""

    def __init__(self) -> None:
        self.drawn: list[Any] = []
        self.threads: set[str] = set()
        self.opened = threading.Event()

    def render(self, recipe: Any) -> bytes:
        self.drawn.append(recipe["n"])
        self.threads.add(threading.current_thread().name)
        assert self.opened.wait(PATIENCE_SECONDS)
        if recipe.get("fails"):
            raise MemoryError
        return b"%d" % recipe["n"]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(rendering, "render", gate.render)
    return gate


@pytest.fixture
def renderer(gate: Gate) -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    gate.opened.set()
    renderer.close()


def test_two_threads_draw_whoever_asks(renderer: Renderer, gate: Gate) -> None:
    asked = [renderer.begin({"n": n}) for n in range(8)]
    wait_until(lambda: len(gate.drawn) == 2)
    gate.opened.set()
    assert [one.result(PATIENCE_SECONDS) for one in asked] == [b"%d" % n for n in range(8)]
    assert len(gate.threads) == 2


def test_picture_is_drawn_once_for_all_who_ask(renderer: Renderer, gate: Gate) -> None:
    asked = [renderer.begin({"n": 1}) for _ in range(8)]
    gate.opened.set()
    assert {one.result(PATIENCE_SECONDS) for one in asked} == {b"1"}
    assert renderer.begin({"n": 1}).done()
    assert gate.drawn == [1]


def test_pictures_last_asked_for_are_kept(
    renderer: Renderer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "KEPT", 2)
    gate.opened.set()
    for n in (1, 2, 1, 3, 1, 2):
        renderer.begin({"n": n}).result(PATIENCE_SECONDS)
    assert gate.drawn == [1, 2, 3, 2]


def test_picture_that_failed_is_drawn_again(renderer: Renderer, gate: Gate) -> None:
    gate.opened.set()
    for _ in range(2):
        with pytest.raises(MemoryError):
            renderer.begin({"n": 1, "fails": True}).result(PATIENCE_SECONDS)
    assert gate.drawn == [1, 1]


def test_pictures_that_wait_are_bounded(
    renderer: Renderer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "WAITING", 3)
    asked = [renderer.begin({"n": n}) for n in range(3)]
    with pytest.raises(Unavailable) as refused:
        renderer.begin({"n": 4})
    assert refused.value.headers == {"Retry-After": "1"}
    renderer.begin({"n": 1})  # which waits already
    gate.opened.set()
    wait(asked, PATIENCE_SECONDS)
    renderer.begin({"n": 4}).result(PATIENCE_SECONDS)


def test_nothing_more_is_drawn_once_it_is_closed(renderer: Renderer, gate: Gate) -> None:
    asked = [renderer.begin({"n": n}) for n in range(4)]
    wait_until(lambda: len(gate.drawn) == 2)
    renderer.close()
    assert [one.cancelled() for one in asked] == [False, False, True, True]
    gate.opened.set()
    assert renderer.begin({"n": 5}).result(PATIENCE_SECONDS) == b"5"  # opened again


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc, and kept by glibc")
def test_memory_of_large_pictures_is_given_back() -> None:
    assert memory_after_drawing(pictures=6, clients=6, side=4096) < 200_000_000
