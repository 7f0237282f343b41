"""A file part of a form."""

from dataclasses import dataclass


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
