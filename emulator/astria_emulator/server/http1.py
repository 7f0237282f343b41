"""The grammar of HTTP/1.1 (RFC 9112): what could be understood in two ways is refused.

A proxy in front that ends a request elsewhere than this server would let one client send requests
in the name of another.
"""

import re
from collections.abc import Mapping

from astria_emulator.server.waitress_names import BadRequest, ChunkedReceiver, Error, ParsingError

CHUNK_LINE_BYTES = 1024
TRAILER_BYTES = 65536

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# What a head may begin with, before all of its first line has come. RFC 9112, 2.2: empty lines
# before a request are ignored.
BEGINNING = re.compile(rb"(?:\r\n)*(?:\r?\Z|[A-Z])")
REQUEST_LINE = re.compile(rb"(%s) ([!-~]+) HTTP/1\.([01])" % TOKEN)
ABSOLUTE = re.compile(rb"https?://([^/?]+).*", re.IGNORECASE)
FIELD = re.compile(rb"(%s):([\t -~\x80-\xff]*)" % TOKEN)
BARE = re.compile(rb"\r[^\n]|(?<!\r)\n")
LENGTH = re.compile(rb"[0-9]{1,18}")
QUOTED = rb'"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;%s(?:=(?:%s|%s))?)*" % (TOKEN, TOKEN, QUOTED))
ONCE = frozenset({b"content-length", b"host", b"transfer-encoding"})
NO_TRAILERS = ONCE | {b"connection"}  # RFC 9110, 6.5.1; what they say would come too late


def check_head(head: bytes) -> None:
    """Check a request line with all fields, and what says where the request ends.

    Raises ParsingError.
    """
    first, *lines = head.removesuffix(b"\r\n").removesuffix(b"\r\n").split(b"\r\n")
    if not (line := REQUEST_LINE.fullmatch(first)):
        encoded = "" if first.isascii() else ": what is not ASCII is to be percent-encoded"
        raise ParsingError(bare_in(first) or f"Start line is invalid{encoded}")
    fields: dict[bytes, bytes] = {}
    for text in lines:
        if not (field := FIELD.fullmatch(text)):
            raise ParsingError(bare_in(text) or "Invalid header")
        if (name := field[1].lower()) in ONCE:
            if name in fields:
                raise ParsingError(f"{name.decode().title()} is sent twice")
            fields[name] = field[2].strip(b" ")
    method, target, minor_version = line.groups()
    _check_length(fields, minor_version)
    _check_target(fields.get(b"host"), method, target, minor_version)


def bare_in(text: bytes) -> str:
    """Return what is wrong with bytes that end a line by one character; empty where none does."""
    return "Bare CR or LF found in HTTP message" if BARE.search(text) else ""


def _check_length(fields: Mapping[bytes, bytes], minor_version: bytes) -> None:
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if length is not None and not LENGTH.fullmatch(length):
        raise ParsingError("Content-Length is invalid")
    if coding is None:
        return
    if coding.lower() != b"chunked":
        raise ParsingError("The transfer encoding is not known: chunked is")
    if length is not None:
        raise ParsingError("Transfer-Encoding and Content-Length are sent together")
    if minor_version != b"1":
        raise ParsingError("HTTP/1.0 has no Transfer-Encoding")


def _check_target(host: bytes | None, method: bytes, target: bytes, minor_version: bytes) -> None:
    if host is None and minor_version == b"1":
        raise ParsingError("Host is missing")
    if b"#" in target:
        raise ParsingError("The target has a fragment")
    if method == b"CONNECT":  # whatever follows would be for another server
        raise ParsingError("This is no proxy")
    if target.startswith(b"/") or (method, target) == (b"OPTIONS", b"*"):
        return
    if not (absolute := ABSOLUTE.fullmatch(target)):
        raise ParsingError("The target is no path")
    if host is None or absolute[1].lower() != host.lower():
        raise ParsingError("The target and Host name two hosts")


class ChunkedBody(ChunkedReceiver):  # type: ignore[misc]
    """Reads a chunked body, RFC 9112, 7.1; `error` says what is wrong with it."""

    completed: bool
    error: Error | None
    control_line: bytes
    chunk_remainder: int
    validate_chunk_end: bool
    all_chunks_received: bool
    _trailer_bytes = 0

    def received(self, data: bytes) -> int:
        """Take bytes; return how many were used."""
        size = len(data)
        while data and not (self.completed or self.error):
            if self.chunk_remainder:
                piece = data[: self.chunk_remainder]
                self.buf.append(piece)
                self.chunk_remainder -= len(piece)
                self.validate_chunk_end = not self.chunk_remainder
                data = data[len(piece) :]
                continue
            line, newline, data = (self.control_line + data).partition(b"\r\n")
            self.control_line = b"" if newline else line
            message = self._refuse_part(line) if not newline else self._take_line(line)
            self.error = BadRequest(message) if message else None
        return size - len(data)

    def _refuse_part(self, line: bytes) -> str:
        if self.validate_chunk_end:
            return "" if line == b"\r" else "Chunk not properly terminated"
        if bare := bare_in(line):
            return bare
        if self.all_chunks_received:
            too_long = self._trailer_bytes + len(line) > TRAILER_BYTES
            return "What follows the last chunk is too long" if too_long else ""
        return "A chunk's first line is too long" if len(line) > CHUNK_LINE_BYTES else ""

    def _take_line(self, line: bytes) -> str:
        """Take a line without its end; return what is wrong with it."""
        if self.validate_chunk_end:
            self.validate_chunk_end = False
            return "Chunk not properly terminated" if line else ""
        if not self.all_chunks_received:
            if len(line) > CHUNK_LINE_BYTES or not (found := CHUNK_LINE.fullmatch(line)):
                return "Invalid chunk size"
            self.chunk_remainder = int(found[1], 16)
            self.all_chunks_received = not self.chunk_remainder
            return ""
        self._trailer_bytes += len(line)
        if self._trailer_bytes > TRAILER_BYTES:
            return "What follows the last chunk is too long"
        self.completed = not line
        field = FIELD.fullmatch(line)
        is_taken = self.completed or (field and field[1].lower() not in NO_TRAILERS)
        return "" if is_taken else "Invalid header"
