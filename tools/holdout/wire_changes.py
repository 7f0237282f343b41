"""Ways to plant a bug in what is answered and called; each gives a function for a row's `plant`.

What a way is given as `change` alters a dictionary in place.
"""

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from flask import Response

from astria_emulator.api import answers
from astria_emulator.api.web import error_response
from astria_emulator.app import Emulator
from astria_emulator.errors import ApiError
from astria_emulator.services import Services
from astria_emulator.storage.store import Row
from tools.holdout.planting import Act, Change, Plant, replace_function


# -- objects and callbacks -------------------------------------------------------------------------
def change_shown(table: str, change: Change) -> Plant:
    """Alter how a tune or a prompt is shown in answers; not in callbacks."""

    def make(real: Act) -> Act:
        def present(services: Services, row: Row, origin: str) -> dict[str, Any]:
            found: dict[str, Any] = real(services, row, origin)
            change(found)
            return found

        return present

    return replace_function(answers.PRESENT, table, make)


def send_callbacks_by(act: Act) -> Plant:
    """Have callbacks sent by `act(send, row, url, body)`."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        callbacks = app.services.callbacks
        real = callbacks.send

        def send(row: Row, url: str, body: Any, after: Any = ()) -> None:
            act(lambda row, url, body: real(row, url, body, after=after), row, url, body)

        patch.setattr(callbacks, "send", send)

    return plant


def change_callback_url(change: Callable[[str, Row], str]) -> Plant:
    """Alter the address of callbacks."""
    return send_callbacks_by(lambda send, row, url, body: send(row, change(url, row), body))


# -- HTTP ------------------------------------------------------------------------------------------
def path_of(environ: Mapping[str, Any]) -> str:
    path: str = environ["PATH_INFO"].rstrip("/").removesuffix(".json")
    return path


def is_like(environ: Mapping[str, Any], pattern: str) -> bool:
    """Whether a request is of a pattern such as `GET /tunes/*`; a star stands for one step."""
    found, wanted = f"{environ['REQUEST_METHOD']} {path_of(environ)}".split("/"), pattern.split("/")
    return len(found) == len(wanted) and all(map(fnmatchcase, found, wanted))


def change_answer(pattern: str, act: Callable[[Response], object], *, status: int = 0) -> Plant:
    """Alter answers to requests of a pattern, or all of one status where it is `*`."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        serve = app.wsgi_app

        def served(environ: dict[str, Any], start_response: Any) -> Any:
            is_ours = environ["PATH_INFO"].startswith("/_emulator")
            fits = not is_ours if pattern == "*" else is_like(environ, pattern)
            if not fits:
                return serve(environ, start_response)
            response = Response.from_app(serve, environ)
            if response.status_code == status if status else response.status_code < 300:
                act(response)
            return response(environ, start_response)

        patch.setattr(app, "wsgi_app", served)

    return plant


def change_objects(pattern: str, change: Change) -> Plant:
    """Alter every object of the JSON in answers to requests of a pattern."""

    def act(response: Response) -> None:
        found = json.loads(response.get_data())
        for item in found if isinstance(found, list) else [found]:
            change(item)
        response.set_data(json.dumps(found))

    return change_answer(pattern, act)


def set_answer(status: int | None = None, body: Any = None, kind: str = "") -> Act:
    """An act for `change_answer` that gives an answer another status, body or content type."""

    def act(response: Response) -> None:
        if body is not None:
            response.set_data(body if isinstance(body, str) else json.dumps(body))
        response.status_code = status or response.status_code
        response.content_type = kind or response.content_type

    return act


def refuse_where(test: Callable[[Mapping[str, Any]], object], error: ApiError) -> Plant:
    """Refuse requests whose WSGI environment a test is true of."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        serve = app.wsgi_app

        def served(environ: dict[str, Any], start_response: Any) -> Any:
            refused = not environ["PATH_INFO"].startswith("/_emulator") and test(environ)
            return (error_response(error) if refused else serve)(environ, start_response)

        patch.setattr(app, "wsgi_app", served)

    return plant
