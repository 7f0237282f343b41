"""Bodies in the three encodings that the API reads."""

import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from astria_contracts.spec.document import JSON, MULTIPART, URLENCODED

NAME = re.compile(r"[^\[\]]+(\[[^\[\]]+\])*")
NOTHING: Any = object()  # no body, or no value at a place
EMPTY, EMPTY_TYPE = b"--empty--\r\n", f"{MULTIPART}; boundary=empty"


@dataclass(frozen=True)
class File:
    """A file that is sent in a form."""

    name: str
    content: bytes
    content_type: str = "image/png"

    def __repr__(self) -> str:
        return f"File({self.name!r}, {len(self.content)} bytes)"


def bracketed(name: str, value: Any) -> Iterator[tuple[str, str | File]]:
    """Fields of a form as Rack reads them: `tune[images][]`, `tune[prompts_attributes][0][text]`.

    None, and names with brackets of their own, are left out: a form has no way to say them.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            path = f"{name}[{key}]" if name else key
            if NAME.fullmatch(path):
                yield from bracketed(path, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            nested = isinstance(item, dict | list)
            yield from bracketed(f"{name}[{index}]" if nested else f"{name}[]", item)
    elif isinstance(value, File):
        yield name, value
    elif value is not None:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def encode(body: Any, media_type: str) -> dict[str, Any]:
    """Arguments for `requests` that send a body."""
    if media_type == JSON:
        sent = json.dumps(body, ensure_ascii=True).encode()
        return {"data": sent, "headers": {"Content-Type": JSON}}
    fields = list(bracketed("", body))
    if media_type == URLENCODED:
        return {"data": fields} if fields else {"headers": {"Content-Type": URLENCODED}}
    parts = [
        (name, (value.name, value.content, value.content_type))
        if isinstance(value, File)
        else (name, (None, value))
        for name, value in fields
    ]
    return {"files": parts} if parts else {"data": EMPTY, "headers": {"Content-Type": EMPTY_TYPE}}


def curl_body(body: Any, media_type: str) -> list[str]:
    """The same as arguments for curl."""
    if media_type == JSON:
        return ["-H", f"Content-Type: {JSON}", "--data", json.dumps(body, ensure_ascii=True)]
    text = "--data-urlencode" if media_type == URLENCODED else "--form-string"
    return [
        part
        for name, value in bracketed("", body)
        for part in (
            ("-F", f"{name}=@{value.name};type={value.content_type}")
            if isinstance(value, File)
            else (text, f"{name}={value}")
        )
    ]


def picture(number: int = 1, *, side: int = 64) -> File:
    """A small PNG of one colour that differs from number to number."""
    colour = bytes((number * 37 % 256, number * 91 % 256, number * 53 % 256))
    rows = b"".join(b"\0" + colour * side for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    content = (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return File(f"{number}.png", content)
