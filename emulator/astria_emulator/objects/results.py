"""Plain values that handlers take and return, besides rows and data."""

from dataclasses import dataclass

from astria_emulator.storage.store import Row


@dataclass(frozen=True)
class Made:
    """A row that was asked to be made, and whether it was there already."""

    row: Row
    repeated: bool = False


@dataclass(frozen=True)
class Empty:
    """An answer without a body; `status` None is the operation's own."""

    status: int | None = None
