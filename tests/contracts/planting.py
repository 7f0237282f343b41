"""Ways to plant a bug in a running emulator: between it and the wire, or within it."""

import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from astria_emulator.app import Emulator

Plant = Callable[[pytest.MonkeyPatch, Emulator], None]
Environ = dict[str, Any]
Real = Callable[..., Any]  # what is replaced
JSON = "application/json"


class Bug:
    """Something wrong, and the properties that find it.

    A property is named as file::function, both without `test_`, perhaps with its case in brackets.
    """

    def __init__(self, name: str, plant: Plant, *found_by: str):
        self.name, self.plant, self.found_by = name, plant, found_by


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content or b"null")


def json_answer(status: int, body: Any, **headers: str) -> Answer:
    """An answer of our own."""
    return Answer(status, {"Content-Type": JSON, **headers}, json.dumps(body).encode())


Call = Callable[[Environ], Answer]


def intercept(do: Callable[[Environ, Call], Answer]) -> Plant:
    """Put something between the server and its application."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        application = app.wsgi_app

        def call(environ: Environ) -> Answer:
            started: list[Any] = []
            parts = application(environ, lambda *start: started.extend(start[:2]))
            content = b"".join(parts)
            getattr(parts, "close", lambda: None)()
            return Answer(int(started[0].split()[0]), dict(started[1]), content)

        def wrapped(environ: Environ, start: Any) -> Iterable[bytes]:
            if environ["PATH_INFO"].startswith("/_emulator"):
                return application(environ, start)
            answer = do(environ, call)
            length = {"Content-Length": str(len(answer.content))}
            start(f"{answer.status} X", list({**answer.headers, **length}.items()))
            return [answer.content]

        patch.setattr(app, "wsgi_app", wrapped)

    return plant


def replace_function(module: Any, name: str, make: Callable[[Any], Any]) -> Plant:
    """Put something else in the place of a function; `make` is given what was there."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        patch.setattr(module, name, make(getattr(module, name)))

    return plant


def replace_values(module: Any, **values: Any) -> Plant:
    """Put other values in the place of some."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        for name, value in values.items():
            patch.setattr(module, name, value)

    return plant


def is_at(environ: Environ, method: str, path: str) -> bool:
    """Whether a request has one of the methods, and a path that fits."""
    bare = environ["PATH_INFO"].removesuffix("/").removesuffix(".json")
    return environ["REQUEST_METHOD"] in method.split() and bool(re.fullmatch(path, bare))


def body_of(environ: Environ) -> bytes:
    """The body of a request, which can still be read."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return replaced(environ, body)


def replaced(environ: Environ, body: bytes) -> bytes:
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return body


def kind_of(environ: Environ) -> str:
    return str(environ.get("CONTENT_TYPE", "")).partition(";")[0]


def body_contains(*words: bytes) -> Any:
    return lambda environ: any(word in body_of(environ) for word in words)


def send_callback(services: Any, row: Any, kind: str) -> None:
    if row.get("callback"):
        services.callbacks.send(row, row["callback"], {kind: {"id": row.id, "trained_at": None}})
