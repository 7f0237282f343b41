"""Freeing what nobody uses any more, without holding anybody up."""

import threading

from astria_emulator.storage.gc_tuning import FEW, free_slowly
from tests import PATIENCE_SECONDS


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
