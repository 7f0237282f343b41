"""The journal: the last requests, and what became of each."""

import itertools
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from astria_emulator.errors import ApiError
from astria_emulator.request.calls import Call, parse_json
from astria_emulator.request.forms import nest
from astria_emulator.request.uploads import Upload

SIZE = 1000  # requests that are remembered
KEPT_BYTES = 65_536  # of a body; of a longer one nothing is kept but its files' names
SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
NOTE = "emulator.note"  # where a request's Note is in its environ


@dataclass
class Note:
    """What becomes known of a request while it is answered."""

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

    operation: its operationId; None where there is none. `account`: the row id of whose key it
    brought. `query`, `body`: as they were read, a file as {"file": name, "content_type": ...,
    "bytes": n}; None when there was none, or it was too long to be kept. `status`: None where the
    connection was broken off. `faults`: those that struck. `explanation`: what was wrong, and what
    would do. `made`: the `object` and `object_id` of what a POST made, whether or not it was told.
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
    """A ring of requests. What is read of them, bodies and headers, is read when somebody asks."""

    def __init__(self, *, size: int = SIZE) -> None:
        self._lock = threading.Lock()
        self._kept: deque[tuple[Any, ...]] = deque(maxlen=size)
        self._ids = itertools.count(1)

    def add(
        self,
        note: Note,
        environ: Mapping[str, Any],
        at: datetime,
        status: int | None,
        seconds: float,
    ) -> None:
        """Keep a request that has been answered."""
        sent = [(name, environ[name]) for name in environ if name[:5] == "HTTP_"]
        asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if note.call:
            note.call = _shortened(note.call)
        with self._lock:
            self._kept.append((next(self._ids), at, note, asked, sent, status, seconds))

    def entries(self) -> list[Entry]:
        """Those that are remembered, oldest first."""
        with self._lock:
            kept = list(self._kept)
        return [_read(*one) for one in kept]

    def reset(self) -> None:
        with self._lock:
            self._kept.clear()
            self._ids = itertools.count(1)


def _shortened(call: Call) -> Call:
    """What is kept of a call: no files, and not the headers, which hold on to the connection."""
    call = replace(call, headers={})
    if call.fields:  # of a form
        size = sum(len(value) for _, value in call.fields if isinstance(value, str))
        fields = [(name, _file(value)) for name, value in call.fields]
        if size > KEPT_BYTES:
            fields = [(name, value) for name, value in fields if not isinstance(value, str)]
        return replace(call, fields=fields)
    return call if len(call.text) <= KEPT_BYTES else replace(call, text=b"")


@dataclass(frozen=True)
class _File:
    """What is kept of an upload."""

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
    asked: tuple[str, str],
    sent: Sequence[tuple[str, str]],
    status: int | None,
    seconds: float,
) -> Entry:
    headers = {name: value for key, value in sent if (name := _header(key)).lower() not in SECRET}
    query = _nested(note.call.query) if note.call else {}
    body = _body(note.call) if note.call else None
    whose = (note.operation, note.account)
    made = note.made and {"object": note.made[0], "object_id": note.made[1]}
    method, path = asked[0], asked[1].encode("latin-1").decode(errors="replace")  # as WSGI has it
    return Entry(
        id,
        at,
        *whose,
        method,
        path,
        query,
        headers,
        body,
        status,
        seconds,
        note.faults,
        note.explanation,
        made,
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
    """Nested data, with each file as JSON can tell it."""
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, _File):
        return {"file": value.name, "content_type": value.content_type, "bytes": value.size}
    return value
