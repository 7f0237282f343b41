"""The journal: the last requests and their answers."""

import itertools
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from astria_emulator.errors import ApiError
from astria_emulator.request.calls import Call, Pairs, parse_json
from astria_emulator.request.forms import nest
from astria_emulator.request.uploads import Upload
from astria_emulator.spec.coercion import count_values

SIZE = 1000  # requests
TOTAL_BYTES = 32 << 20  # of memory, of all requests: the oldest are dropped
KEPT_BYTES = 65_536  # of a body; of a longer one only the files' names are stored
KEPT_VALUES = 2000  # of a body or a query; one with more is not stored
KEPT_CHARACTERS = 2000  # of a path, a header and an explanation
VALUE_BYTES = 200  # of memory, that a value takes besides its characters, at most
SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
NOTE = "emulator.note"  # where a request's Note is in its environ


@dataclass
class Note:
    """Facts about a request, collected while it is answered."""

    begun: float  # time.perf_counter
    operation: str | None = None
    account: int | None = None
    call: Call | None = None
    faults: Sequence[str] = ()
    explanation: str | None = None
    made: tuple[str, int] | None = None  # table and id


@dataclass(frozen=True)
class Entry:
    """One request.

    operation: its operationId, or None. `account`: the row id of its key's account. `query` and
    `body`: parsed, a file as {"file": name, "content_type": ..., "bytes": n}; None when there was
    none, or it was too long. `status`: None where the connection was broken off. `faults`: those
    that were applied. `explanation`: what was wrong, and what would be right. `made`: the `object`
    and `object_id` that a POST created, also when the client got no answer.
    """

    id: int
    at: datetime
    operation: str | None
    account: int | None
    method: str
    path: str
    query: Any
    headers: Mapping[str, str]
    body: Any
    status: int | None
    seconds: float
    faults: Sequence[str]
    explanation: str | None
    made: Mapping[str, Any] | None = None


class Journal:
    """A ring buffer of requests, and of memory. Bodies are parsed only when they are asked for."""

    def __init__(self, *, size: int = SIZE) -> None:
        self._lock = threading.Lock()
        self._records: deque[tuple[int, tuple[Any, ...]]] = deque()  # each with its bytes
        self._size, self._bytes = size, 0
        self._ids = itertools.count(1)

    def add(
        self,
        note: Note,
        environ: Mapping[str, Any],
        at: datetime,
        status: int | None,
        seconds: float,
    ) -> None:
        """Add a request that was answered."""
        headers = [
            (name[:KEPT_CHARACTERS], environ[name][:KEPT_CHARACTERS])
            for name in environ
            if name[:5] == "HTTP_"
        ]
        target = environ["REQUEST_METHOD"], environ["PATH_INFO"][:KEPT_CHARACTERS]
        if note.call:
            note.call = _shortened(note.call)
        if note.explanation:
            note.explanation = note.explanation[:KEPT_CHARACTERS]
        size = _bytes_of([*headers, target, (note.explanation or "", "")]) + _bytes_of_call(note)
        with self._lock:
            self._bytes += size
            self._records.append(
                (size, (next(self._ids), at, note, target, headers, status, seconds))
            )
            while len(self._records) > self._size or self._bytes > TOTAL_BYTES:
                self._bytes -= self._records.popleft()[0]

    def entries(self) -> list[Entry]:
        """Return all entries, oldest first."""
        return [*self.newest()][::-1]

    def newest(self, operation: str | None = None) -> Iterator[Entry]:
        """Return the entries of an operation or of all, newest first, each parsed as it comes."""
        with self._lock:
            records = list(self._records)
        for _, record in reversed(records):
            if operation in (None, record[2].operation):
                yield _read(*record)

    def reset(self) -> None:
        with self._lock:
            self._records.clear()
            self._bytes = 0
            self._ids = itertools.count(1)


def _shortened(call: Call) -> Call:
    """Return a call without what is long.

    Nor are there files' contents, and headers: they keep the connection alive.
    """
    query = call.query if _is_short(call.query) else ()
    fields: Pairs = [(name, _file(value)) for name, value in call.fields]
    if not _is_short(fields):
        fields = [(name, value) for name, value in fields if not isinstance(value, str)]
    short = len(call.text) <= KEPT_BYTES and count_values(call.text) <= KEPT_VALUES
    return Call(
        path={},
        query=query,
        headers={},
        fields=fields if _is_short(fields) else (),
        text=call.text if short else b"",
    )


def _is_short(pairs: Pairs) -> bool:
    size = sum(len(text) for pair in pairs for part in pair for text in _texts(part))
    return len(pairs) <= KEPT_VALUES and size <= KEPT_BYTES


def _bytes_of_call(note: Note) -> int:
    """Return the memory that a shortened call takes, once it is parsed."""
    if note.call is None:
        return 0
    text = note.call.text
    parsed = len(text) + count_values(text) * VALUE_BYTES
    return _bytes_of([*note.call.query, *note.call.fields]) + parsed


def _bytes_of(pairs: Iterable[tuple[Any, Any]]) -> int:
    return sum(
        VALUE_BYTES + sum(sys.getsizeof(text) for part in pair for text in _texts(part))
        for pair in pairs
    )


def _texts(part: Any) -> tuple[str, ...]:
    return (part.name, part.content_type) if isinstance(part, _File) else (part,)


@dataclass(frozen=True)
class _File:
    """An upload without its bytes."""

    name: str
    content_type: str
    size: int


def _file(value: Any) -> Any:
    if not isinstance(value, Upload):
        return value
    return _File(value.name, value.content_type, len(value.data))


def _read(
    id: int,
    at: datetime,
    note: Note,
    target: tuple[str, str],
    sent_headers: Sequence[tuple[str, str]],
    status: int | None,
    seconds: float,
) -> Entry:
    headers = {
        name: value for key, value in sent_headers if (name := _header(key)).lower() not in SECRET
    }
    query = _nested(note.call.query) if note.call else {}
    body = _body(note.call) if note.call else None
    made = note.made and {"object": note.made[0], "object_id": note.made[1]}
    method, wsgi_path = target
    return Entry(
        id=id,
        at=at,
        operation=note.operation,
        account=note.account,
        method=method,
        path=wsgi_path.encode("latin-1").decode(errors="replace"),
        query=query,
        headers=headers,
        body=body,
        status=status,
        seconds=seconds,
        faults=note.faults,
        explanation=note.explanation,
        made=made,
    )


def _header(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()


def _body(call: Call) -> Any:
    if call.fields:
        return _nested(call.fields)
    try:
        return parse_json(call.text) if call.text else None
    except ApiError:
        return call.text.decode(errors="replace")


def _nested(pairs: Sequence[tuple[str, Any]]) -> Any:
    try:
        return _shown(nest(pairs))
    except ApiError:
        return [[name, _shown(value)] for name, value in pairs]


def _shown(value: Any) -> Any:
    """Return nested data with each file in its JSON form."""
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, _File):
        return {"file": value.name, "content_type": value.content_type, "bytes": value.size}
    return value
