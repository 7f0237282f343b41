"""A state as a file: a zip of `state.json` and `blobs/KEY`, the bytes of each file.

An archive is written piece by piece as it is sent. One that is read is looked at before anything
is taken of it: its names, and how much it holds once it is unpacked.
"""

import re
import shutil
import zlib
from collections.abc import Iterator
from functools import partial
from json import JSONEncoder
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from astria_emulator.control.state_checks import check
from astria_emulator.control.state_document import read, written
from astria_emulator.errors import BadRequest, Invalid, TooLarge, disk_problem
from astria_emulator.request.calls import parse_json
from astria_emulator.spec.coercion import refuse_null_characters
from astria_emulator.spec.openapi import Spec
from astria_emulator.storage.file_keys import KEY_LENGTH
from astria_emulator.storage.own_folders import TempFolder
from astria_emulator.storage.state import State

DOCUMENT, BLOBS = "state.json", "blobs/"
BLOB = re.compile(rf"{BLOBS}([0-9a-z]{{{KEY_LENGTH}}})")
ENTRY = b"PK\x01\x02"  # begins each entry of a zip's list
MOST_ENTRIES = 200_000
METHODS = frozenset({ZIP_STORED, ZIP_DEFLATED})
ENCRYPTED = 1  # bit of a zip entry's flags
SPREAD = 10  # an archive may hold so many times the bytes of the largest request body
CHUNK = 1 << 18  # bytes
PIECES = 10_000  # of JSON, written at a time
MOST_VALUES = 10_000_000  # of JSON: a row has about 60
TOLD = 20  # entries that are listed


class _Sink:
    """Takes what a ZipFile writes, which cannot go back, and hands it on."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def taken(self) -> bytes:
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def write(state: State, version: str) -> Iterator[bytes]:
    """An archive in pieces; equal states give equal bytes. version: the emulator's."""
    sink: Any = _Sink()
    with ZipFile(sink, "w") as archive:
        with archive.open(_entry(DOCUMENT, ZIP_DEFLATED), "w", force_zip64=True) as out:
            for piece in _text(written(state, version)):
                out.write(piece)
                yield sink.taken()
        for file in state.files.files:
            if file.recipe is None:
                entry = _entry(f"{BLOBS}{file.key}", ZIP_STORED)  # most are pressed already
                entry.file_size = file.size
                with archive.open(entry, "w") as out:
                    if file.path is None:
                        out.write(file.data or b"")
                    else:
                        with file.path.open("rb") as source:
                            while chunk := source.read(CHUNK):
                                out.write(chunk)
                                yield sink.taken()
                yield sink.taken()
    yield sink.taken()


def _entry(name: str, method: int) -> ZipInfo:
    entry = ZipInfo(name)  # of 1980, always
    entry.compress_type = method
    entry.external_attr = 0o644 << 16
    return entry


def _text(document: Any) -> Iterator[bytes]:
    pieces: list[str] = []
    for piece in JSONEncoder(indent=2, ensure_ascii=False).iterencode(document):
        pieces.append(piece)
        if len(pieces) == PIECES:
            yield "".join(pieces).encode()
            pieces.clear()
    yield "".join([*pieces, "\n"]).encode()


def load(source: IO[bytes], max_body: int, contract: Spec) -> State:
    """The state that an archive holds; it is checked, and its bytes lie in a folder of their own.

    source: a file that can be gone back in. max_body: bytes of the largest request body.
    contract: that of the API.
    Raises BadRequest where it is no such archive, and Invalid with what is wrong in it.
    """
    if _entries(source) > MOST_ENTRIES:
        raise Invalid({"base": [f"more than {MOST_ENTRIES} entries are in it"]})
    try:
        with ZipFile(source) as archive:
            blobs = _blobs(archive, max_body)
            document = _document(archive)
            check(document, {key: entry.file_size for key, entry in blobs.items()}, contract)
            folder = TempFolder("astria-state-")
            for key, entry in blobs.items():
                with archive.open(entry) as inner, (folder.path / key).open("wb") as out:
                    shutil.copyfileobj(inner, out, CHUNK)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        if isinstance(error, OSError) and disk_problem(error.errno):
            raise
        raise BadRequest(f"this is no zip archive that can be read: {error}") from None
    return read(document, folder)


def _entries(source: IO[bytes]) -> int:
    """Return how many entries an archive lists at most, before each takes memory."""
    found, rest = 0, b""
    source.seek(0)
    while chunk := source.read(CHUNK):
        found += (rest + chunk).count(ENTRY)
        rest = chunk[1 - len(ENTRY) :]
    return found


def _blobs(archive: ZipFile, max_body: int) -> dict[str, ZipInfo]:
    """The entries that are files, by their keys.

    Raises Invalid.
    """
    problems: dict[str, list[str]] = {}
    found: dict[str, ZipInfo] = {}
    names = set()
    for entry in archive.infolist():
        name = entry.filename
        blob = BLOB.fullmatch(name)
        if name in names:
            problems[name] = ["is there twice"]
        elif entry.flag_bits & ENCRYPTED or entry.compress_type not in METHODS:
            problems[name] = ["is encrypted, or pressed in a way that is not read here"]
        elif blob:
            found[blob[1]] = entry
        elif name not in (DOCUMENT, BLOBS):
            problems[name[:100]] = [f"is neither {DOCUMENT} nor {BLOBS} and the key of a file"]
        names.add(name)
        if len(problems) == TOLD:
            break
    if DOCUMENT not in names and not problems:
        problems[DOCUMENT] = ["is missing"]
    total = sum(entry.file_size for entry in archive.infolist())
    if total > SPREAD * max_body:
        told = f"{total} bytes are in it: more than {SPREAD} times what --max-body-mb allows"
        problems["base"] = [told]
    elif DOCUMENT in names and archive.getinfo(DOCUMENT).file_size > max_body:
        problems[DOCUMENT] = [f"is longer than {max_body} bytes, which --max-body-mb allows"]
    if problems:
        raise Invalid(problems)
    return found


def _document(archive: ZipFile) -> Any:
    with archive.open(DOCUMENT) as inner:
        # Piece by piece, or an entry that says that it is short could be as long as it likes.
        text = b"".join(iter(partial(inner.read, CHUNK), b""))
    try:
        document = parse_json(text, most=MOST_VALUES)
        refuse_null_characters(document)
    except (BadRequest, TooLarge) as error:
        raise type(error)(f"{DOCUMENT}: {error.error}") from None
    return document
