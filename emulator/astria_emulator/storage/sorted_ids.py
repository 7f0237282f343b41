"""Ids in ascending order, of which any can be added and removed at a small, even cost."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

BLOCK = 512  # ids; twice as many are split


class SortedIds:
    """Ids, each at most once.

    They are kept in blocks: in one long list, each removal would move all that follows.
    """

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[list[int]] = []  # none is empty

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, id: int) -> None:
        last = self._blocks[-1] if self._blocks else []
        if not last or (id > last[-1] and len(last) >= BLOCK):  # most ids come in their order
            self._blocks.append([id])
            return
        at = max(0, self._block_of(id))
        block = self._blocks[at]
        insort(block, id)
        if len(block) >= 2 * BLOCK:
            self._blocks[at : at + 1] = [block[:BLOCK], block[BLOCK:]]

    def discard(self, id: int) -> None:
        at = self._block_of(id)
        block = self._blocks[at] if at >= 0 else []
        position = bisect_left(block, id)
        if position < len(block) and block[position] == id:
            del block[position]
            if not block:
                del self._blocks[at]

    def below(self, end: int | None) -> Iterator[int]:
        """Iterate over the ids below one, or over all, the largest first."""
        last = len(self._blocks) - 1
        if end is not None and (last := self._block_of(end)) >= 0:
            block = self._blocks[last]
            yield from reversed(block[: bisect_left(block, end)])
            last -= 1
        for at in range(last, -1, -1):
            yield from reversed(self._blocks[at])

    def _block_of(self, id: int) -> int:
        """Return the index of the last block that begins with an id up to this one; -1 without."""
        return bisect_right(self._blocks, id, key=_first) - 1


def _first(block: list[int]) -> int:
    return block[0]
