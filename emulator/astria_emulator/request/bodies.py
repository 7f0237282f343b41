"""Read a form's parts in the order they were sent: Rack's rules depend on it.

The only door to the multipart parser.
"""

import re
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import parse_qsl

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData, State

from astria_emulator.errors import BadRequest, TooLarge
from astria_emulator.request.calls import MOST_VALUES
from astria_emulator.request.uploads import Upload, media_type
from astria_emulator.spec.coercion import count_values

MAX_PARTS = 10_000
LONGEST_NAME = 4000  # characters of a field's or a file's name
MOST_ESCAPES = 3_000_000  # in a form; base64 of the largest file has two million
LONGEST_HEADERS = 2 << 20  # bytes, of all parts of a form together
BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")
LONGEST_BOUNDARY = 200  # RFC 2046 allows 70
CHUNK = 1 << 18  # bytes read at a time


def read_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Return the fields in order.

    Raises BadRequest and TooLarge.
    """
    if body.count(b"%") > MOST_ESCAPES:
        raise TooLarge(f"the form has more than {MOST_ESCAPES} escapes")
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARTS
        )
    except UnicodeDecodeError:
        raise BadRequest("the form is not valid UTF-8 text") from None
    except ValueError:
        raise BadRequest(f"the form has more than {MAX_PARTS} fields") from None
    return _checked(fields)


def read_multipart(stream: IO[bytes], boundary: str, max_part: int) -> list[tuple[str, Any]]:
    """Return fields as text and files as uploads, in order. max_part: bytes of one part.

    A file input that a browser sends empty is left out.

    Raises BadRequest, and TooLarge when a part or the stream is too long.
    """
    pairs: list[tuple[str, Any]] = []
    part: Field | File | None = None
    pieces: list[bytes] = []
    size = 0
    if len(boundary) > LONGEST_BOUNDARY:
        raise BadRequest(f"the boundary has more than {LONGEST_BOUNDARY} characters")
    try:
        decoder = MultipartDecoder(boundary.encode("latin-1"), max_parts=MAX_PARTS)
        for event in _events(decoder, stream, len(boundary) + 16):
            if isinstance(event, Field | File):
                part, pieces, size = event, [], 0
            elif isinstance(event, Data):
                pieces.append(event.data)
                size += len(event.data)
                if size > max_part:
                    raise TooLarge
                if not event.more_data and part is not None:
                    pairs += _finished(part, b"".join(pieces))
    except RequestEntityTooLarge:
        raise TooLarge from None
    except (ValueError, LookupError) as error:
        raise BadRequest(f"the multipart body cannot be parsed: {error}") from None
    return _checked(pairs)


def _events(decoder: MultipartDecoder, stream: IO[bytes], tail: int) -> Iterator[Any]:
    room = LONGEST_HEADERS

    def next_event() -> Any:
        """The next event, unless it is of headers that take long to parse."""
        nonlocal room
        if decoder.state is State.PART:
            end = BLANK_LINE.search(decoder.buffer, 0, room)
            if end is None and len(decoder.buffer) > room:
                raise TooLarge(f"the headers of the form's parts exceed {LONGEST_HEADERS} bytes")
            room -= end.start() if end else 0
        return decoder.next_event()

    for data in _chunks(stream, tail):
        decoder.receive_data(data)
        while not isinstance(event := next_event(), NeedData):
            yield event
            if isinstance(event, Epilogue):
                return
    raise ValueError("it ends too early")


def _chunks(stream: IO[bytes], tail: int) -> Iterator[bytes | None]:
    """The stream in pieces, then None.

    The last piece has at least `tail` bytes: where the closing delimiter is cut in two, the
    decoder adds a byte to the last part (werkzeug 3.1.9, pallets/werkzeug#3285).
    """
    buffer = b""
    while data := stream.read(CHUNK):
        buffer += data
        yield buffer[:-tail]
        buffer = buffer[-tail:]
    yield buffer
    yield None


def _finished(part: Field | File, data: bytes) -> Iterator[tuple[str, Any]]:
    if not part.name:
        raise BadRequest("a part of the form has no name")
    if isinstance(part, File):
        if part.filename or data:
            kind = media_type(part.headers.get("Content-Type", ""))
            yield part.name, Upload(part.filename, kind, data)
        return
    try:
        yield part.name, data.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"form field {part.name[:80]!r} is not valid UTF-8 text") from None


def _checked(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return fields whose names are not too long, and whose texts are not too much JSON.

    Raises BadRequest and TooLarge.
    """
    names = [name for name, _ in pairs]
    names += [value.name for _, value in pairs if isinstance(value, Upload)]
    if max(map(len, names), default=0) > LONGEST_NAME:
        raise BadRequest(f"a name in the form has more than {LONGEST_NAME} characters")
    if sum(count_values(value) for _, value in pairs if isinstance(value, str)) > MOST_VALUES:
        raise TooLarge(f"the form has more than {MOST_VALUES} values")
    return pairs
