"""The file part of a form, and its media type."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Upload:
    """A file part of a form."""

    name: str
    content_type: str
    data: bytes


def media_type(header: str) -> str:
    """Return the media type of a Content-Type header; application/octet-stream when it has none."""
    name = header.partition(";")[0].strip()
    is_type = name.count("/") == 1 and name.isascii() and name.isprintable()
    return name if is_type else "application/octet-stream"
