"""Values that handlers return, besides rows and plain data."""

from dataclasses import dataclass

from astria_emulator.storage.store import Row


@dataclass(frozen=True)
class Creation:
    """The row of a creation; `repeated`: idempotency found an earlier row instead."""

    row: Row
    repeated: bool = False


@dataclass(frozen=True)
class Empty:
    """An answer without a body; `status` None is the operation's own."""

    status: int | None = None
