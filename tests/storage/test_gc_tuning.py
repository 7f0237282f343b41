"""Freeing what nobody uses any more, without holding anybody up."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from astria_emulator.storage import gc_tuning
from astria_emulator.storage.gc_tuning import FEW, free_slowly, tidy_up_soon
from tests import PATIENCE_SECONDS, wait_until


class Cycle:
    def __init__(self) -> None:
        self.self = self


@pytest.fixture
def spares(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that spares the old, but for its collections."""
    monkeypatch.setattr(gc, "callbacks", [*gc.callbacks, gc_tuning._freeze])
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("spares")
def test_garbage_that_was_spared_is_freed_after_a_reset() -> None:
    garbage = Cycle()
    alive = weakref.ref(garbage)
    gc.collect()
    gc.freeze()
    del garbage
    gc.collect()
    assert alive() is not None
    for _ in range(3):
        tidy_up_soon(0.0)
    wait_until(lambda: alive() is None)


@pytest.mark.usefixtures("spares")
def test_one_thread_tidies_up_for_many_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[None] = []
    monkeypatch.setattr(gc_tuning, "_tidy_up", lambda: done.append(None))
    monkeypatch.setattr(gc_tuning, "_may_tidy", threading.Lock())
    for _ in range(3):
        tidy_up_soon(0.0)
    wait_until(lambda: done)
    assert done == [None]


def test_process_that_spares_nothing_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_tuning, "_may_tidy", None)
    tidy_up_soon()


def test_large_tables_are_emptied_on_a_thread_and_small_ones_left_to_their_owner() -> None:
    large = dict.fromkeys(range(FEW + 1))
    small = {1: 2}
    free_slowly([large, small])
    for thread in threading.enumerate():
        if thread.name == "garbage":
            thread.join(PATIENCE_SECONDS)
    assert (large, small) == ({}, {1: 2})


def test_no_thread_is_begun_for_little() -> None:
    before = threading.active_count()
    free_slowly([{1: 2}, {}])
    assert threading.active_count() <= before
