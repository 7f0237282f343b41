"""Ids in ascending order."""

from itertools import islice
from random import Random

import pytest

from astria_emulator.storage import sorted_ids
from astria_emulator.storage.sorted_ids import SortedIds


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_ids, "BLOCK", 4)


def holding(ids: list[int]) -> SortedIds:
    made = SortedIds()
    for id in ids:
        made.add(id)
    return made


@pytest.mark.parametrize("seed", range(5))
def test_ids_come_largest_first_in_whatever_order_they_were_added(seed: int) -> None:
    random, ids, expected = Random(seed), SortedIds(), set()
    for _ in range(500):
        id = random.randrange(100)
        if id in expected:
            ids.discard(id)
            expected.discard(id)
        else:
            ids.add(id)
            expected.add(id)
        ids.discard(1_000)
        assert bool(ids) == bool(expected)
        end = random.randrange(-1, 102)
        assert [*ids.below(end)] == sorted((id for id in expected if id < end), reverse=True)
        assert [*ids.below(None)] == sorted(expected, reverse=True)


@pytest.mark.parametrize("order", [1, -1])
def test_ids_are_kept_in_blocks_that_are_neither_long_nor_many(order: int) -> None:
    blocks = holding([*range(100)][::order])._blocks
    assert all(2 <= len(block) <= 8 for block in blocks)


def test_nothing_is_left_of_ids_that_are_removed() -> None:
    ids = holding([*range(100)])
    for id in range(100):
        ids.discard(id)
    assert (bool(ids), [*ids.below(None)], ids._blocks) == (False, [], [])


def test_some_of_the_ids_can_be_taken() -> None:
    assert [*islice(holding([*range(100)]).below(50), 2, 4)] == [47, 46]
