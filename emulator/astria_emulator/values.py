"""Plain values that handlers take and return, besides rows and data."""

from dataclasses import dataclass

from astria_emulator.storage.store import Row


@dataclass(frozen=True)
class Upload:
    """A file part of a form."""

    name: str
    content_type: str
    data: bytes


def media_type(sent: str) -> str:
    """The type that a Content-Type header names; that of any bytes where it names none."""
    found = sent.partition(";")[0].strip()
    is_type = found.count("/") == 1 and found.isascii() and found.isprintable()
    return found if is_type else "application/octet-stream"


@dataclass(frozen=True)
class Made:
    """A row that was asked to be made, and whether it was there already."""

    row: Row
    repeated: bool = False


@dataclass(frozen=True)
class Empty:
    """An answer without a body; `status` None is the operation's own."""

    status: int | None = None
