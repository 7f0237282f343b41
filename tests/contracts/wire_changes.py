"""Changes on the wire, of what is answered and of what is asked, as bugs to plant."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from planting import (
    JSON,
    Answer,
    Call,
    Environ,
    Plant,
    body_of,
    intercept,
    is_at,
    json_answer,
    kind_of,
    replaced,
)

from astria_emulator.app import Emulator

ALONE_SECONDS = 0.05  # without another request, one is taken to be alone
TUNE, TUNES, PROMPT = r"/tunes/\d+", "/tunes", r"(/tunes/\d+)?/prompts/\d+"
PROMPTS, COPY = r"(/tunes/\d+)?/prompts", r"/prompts/\d+/duplicate"
ANY_PROMPT = rf"{PROMPTS}|{PROMPT}|{COPY}"
ANY = "GET POST PATCH PUT DELETE"
FILE, CHANGED = r"/[0-9a-z]{28}", r"/tunes/\d+|(/tunes/\d+)?/prompts/\d+"
NOT_FOUND = json_answer(404, {"status": 404, "error": "Not Found"})
BROKEN = json_answer(400, {"status": 400, "error": "Bad Request"})
LISTS = r"/tunes|/prompts|/tunes/\d+/prompts"


# -- what is answered ------------------------------------------------------------------------------
def change_answer(
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

    return intercept(do)


def change_fields(
    path: str, change: Callable[[Any], Mapping[str, Any]], *, method: str = "GET"
) -> Plant:
    """Change fields of the objects that an answer shows, one or a list."""

    def changed(found: Any) -> Any:
        if isinstance(found, list):
            return [changed(item) for item in found]
        return {**found, **change(found)} if isinstance(found, dict) else found

    return change_answer(method, path, changed)


def answer_instead(
    method: str, path: str, answer: Answer, *, when: Callable[[Environ], bool] = lambda _: True
) -> Plant:
    """Answer this, and do nothing."""
    return intercept(
        lambda environ, call: (
            answer if is_at(environ, method, path) and when(environ) else call(environ)
        )
    )


def change_status(method: str, path: str, status: int, into: int) -> Plant:
    """Answer with another status, and the same body."""

    def do(environ: Environ, call: Call) -> Answer:
        at, answer = is_at(environ, method, path), call(environ)
        hit = at and answer.status == status
        return Answer(into, answer.headers, answer.content) if hit else answer

    return intercept(do)


def answer_by_status(status: int, answer: Answer, method: str = ANY, path: str = ".*") -> Plant:
    """Another answer in the place of those with a status."""

    def do(environ: Environ, call: Call) -> Answer:
        at, found = is_at(environ, method, path), call(environ)
        return answer if at and found.status == status else found

    return intercept(do)


# -- what is asked ---------------------------------------------------------------------------------
def change_body(method: str, path: str, change: Callable[[Any], Any]) -> Plant:
    """Change JSON bodies before they are read."""

    def do(environ: Environ, call: Call) -> Answer:
        if is_at(environ, method, path) and kind_of(environ) == JSON:
            try:
                body = json.loads(body_of(environ))
            except ValueError:
                return call(environ)
            replaced(environ, json.dumps(change(body)).encode())
        return call(environ)

    return intercept(do)


def change_attributes(wrapper: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Plant:
    """Change attributes of JSON bodies under their wrapper; None takes one away."""

    def changed(body: Any) -> Any:
        inner = body.get(wrapper) if isinstance(body, dict) else None
        if not isinstance(inner, dict):
            return body
        merged = {**inner, **change(inner)}
        return {**body, wrapper: {key: item for key, item in merged.items() if item is not None}}

    return change_body("POST PATCH", ".*", changed)


def change_query(path: str, change: Callable[[dict[str, str]], Mapping[str, str]]) -> Plant:
    """Change the query of a GET."""

    def do(environ: Environ, call: Call) -> Answer:
        if is_at(environ, "GET", path):
            pairs = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
            lists = [pair for pair in pairs if pair[0].endswith("[]")]
            single = change({name: value for name, value in pairs if not name.endswith("[]")})
            environ["QUERY_STRING"] = urlencode([*single.items(), *lists])
        return call(environ)

    return intercept(do)


def without(*names: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda given: {name: value for name, value in given.items() if name not in names}


def ignore_query(*names: str) -> Plant:
    return change_query(LISTS + "|/packs", without(*names))


def replace_bytes(kinds: str, old: bytes, new: bytes) -> Plant:
    """Replace bytes in the bodies of some content types."""

    def do(environ: Environ, call: Call) -> Answer:
        if kinds in kind_of(environ):
            replaced(environ, re.sub(old, new, body_of(environ)))
        return call(environ)

    return intercept(do)


def change_environ(change: Callable[[Environ], Any]) -> Plant:
    """Change a request's variables."""

    def do(environ: Environ, call: Call) -> Answer:
        change(environ)
        return call(environ)

    return intercept(do)


def under_load(do: Callable[[Environ, Call, int], Answer]) -> Plant:
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
        intercept(counted)(patch, app)

    return plant
