"""Ways to plant a bug in a running emulator: between it and the wire, or within it."""

import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from astria_emulator.app import Emulator

Plant = Callable[[pytest.MonkeyPatch, Emulator], None]
Environ = dict[str, Any]
JSON = "application/json"
ALONE_SECONDS = 0.05  # without another request, one is taken to be alone


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


def said(status: int, body: Any, **headers: str) -> Answer:
    """An answer of our own."""
    return Answer(status, {"Content-Type": JSON, **headers}, json.dumps(body).encode())


Call = Callable[[Environ], Answer]


def between(do: Callable[[Environ, Call], Answer]) -> Plant:
    """Put something between the server and its application."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        application = app.wsgi_app

        def call(environ: Environ) -> Answer:
            told: list[Any] = []
            parts = application(environ, lambda *start: told.extend(start[:2]))
            content = b"".join(parts)
            getattr(parts, "close", lambda: None)()
            return Answer(int(told[0].split()[0]), dict(told[1]), content)

        def wrapped(environ: Environ, start: Any) -> Iterable[bytes]:
            if environ["PATH_INFO"].startswith("/_emulator"):
                return application(environ, start)
            answer = do(environ, call)
            length = {"Content-Length": str(len(answer.content))}
            start(f"{answer.status} X", list({**answer.headers, **length}.items()))
            return [answer.content]

        patch.setattr(app, "wsgi_app", wrapped)

    return plant


def within(module: Any, name: str, make: Callable[[Any], Any]) -> Plant:
    """Put something else in the place of a function; `make` is given what was there."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        patch.setattr(module, name, make(getattr(module, name)))

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


# -- what is answered ------------------------------------------------------------------------------
def answers(
    method: str, path: str, change: Callable[[Any], Any], *, kinds: str = "", status: int = 0
) -> Plant:
    """Change what JSON answers say; `kinds` of requests alone, answers with `status` alone."""

    def do(environ: Environ, call: Call) -> Answer:
        at = is_at(environ, method, path) and kinds in kind_of(environ)
        answer = call(environ)
        if not (at and answer.content and JSON in answer.headers.get("Content-Type", "")):
            return answer
        if answer.status != status if status else answer.status >= 400:
            return answer
        changed = change(answer.json)
        return Answer(answer.status, answer.headers, json.dumps(changed).encode())

    return between(do)


def shown(path: str, change: Callable[[Any], Mapping[str, Any]], *, method: str = "GET") -> Plant:
    """Change fields of the objects that an answer shows, one or a list."""

    def changed(found: Any) -> Any:
        if isinstance(found, list):
            return [changed(item) for item in found]
        return {**found, **change(found)} if isinstance(found, dict) else found

    return answers(method, path, changed)


def instead(
    method: str, path: str, answer: Answer, *, when: Callable[[Environ], bool] = lambda _: True
) -> Plant:
    """Answer this, and do nothing."""
    return between(
        lambda environ, call: (
            answer if is_at(environ, method, path) and when(environ) else call(environ)
        )
    )


def turned(method: str, path: str, status: int, into: int) -> Plant:
    """Answer with another status, and the same body."""

    def do(environ: Environ, call: Call) -> Answer:
        at, answer = is_at(environ, method, path), call(environ)
        hit = at and answer.status == status
        return Answer(into, answer.headers, answer.content) if hit else answer

    return between(do)


# -- what is asked ---------------------------------------------------------------------------------
def asked(method: str, path: str, change: Callable[[Any], Any]) -> Plant:
    """Change JSON bodies before they are read."""

    def do(environ: Environ, call: Call) -> Answer:
        if is_at(environ, method, path) and kind_of(environ) == JSON:
            try:
                body = json.loads(body_of(environ))
            except ValueError:
                return call(environ)
            replaced(environ, json.dumps(change(body)).encode())
        return call(environ)

    return between(do)


def told(wrapper: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Plant:
    """Change attributes of JSON bodies under their wrapper; None takes one away."""

    def changed(body: Any) -> Any:
        inner = body.get(wrapper) if isinstance(body, dict) else None
        if not isinstance(inner, dict):
            return body
        merged = {**inner, **change(inner)}
        return {**body, wrapper: {key: item for key, item in merged.items() if item is not None}}

    return asked("POST PATCH", ".*", changed)


def queried(path: str, change: Callable[[dict[str, str]], Mapping[str, str]]) -> Plant:
    """Change the query of a GET."""

    def do(environ: Environ, call: Call) -> Answer:
        if is_at(environ, "GET", path):
            pairs = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
            lists = [pair for pair in pairs if pair[0].endswith("[]")]
            single = change({name: value for name, value in pairs if not name.endswith("[]")})
            environ["QUERY_STRING"] = urlencode([*single.items(), *lists])
        return call(environ)

    return between(do)


def without(*names: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda given: {name: value for name, value in given.items() if name not in names}


def rewritten(kinds: str, old: bytes, new: bytes) -> Plant:
    """Replace bytes in the bodies of some content types."""

    def do(environ: Environ, call: Call) -> Answer:
        if kinds in kind_of(environ):
            replaced(environ, re.sub(old, new, body_of(environ)))
        return call(environ)

    return between(do)


def with_environ(change: Callable[[Environ], Any]) -> Plant:
    """Change a request's variables."""

    def do(environ: Environ, call: Call) -> Answer:
        change(environ)
        return call(environ)

    return between(do)


def at_once(do: Callable[[Environ, Call, int], Answer]) -> Plant:
    """Know how many requests there are at a time: each waits for another one, if one comes."""
    changed, count = threading.Condition(), [0]

    def counted(environ: Environ, call: Call) -> Answer:
        with changed:
            count[0] += 1
            changed.notify_all()
            changed.wait_for(lambda: count[0] > 1, ALONE_SECONDS)
            running = count[0]
        try:
            return do(environ, call, running)
        finally:
            with changed:
                count[0] -= 1

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        patch.setattr(app, "is_quick", lambda *asked: False)  # nor are requests put in a row
        between(counted)(patch, app)

    return plant
