"""The views behind the routes: an operation, a file; and the note of each request."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from typing import Any

from flask import Request, Response
from werkzeug.wrappers import Response as BaseResponse

from astria_emulator.api.answers import Answer
from astria_emulator.api.downloads import Downloads
from astria_emulator.api.operations import BoundOperation
from astria_emulator.api.web import (
    PREFIX,
    as_response,
    check_host,
    current_request,
    error_response,
    origin_of,
    read_call,
)
from astria_emulator.errors import ApiError, Invalid, Unauthorized, trace_of
from astria_emulator.faults.answering import RESET, inject_into_answer
from astria_emulator.faults.kinds import FILE
from astria_emulator.objects.accounts import authenticate, caller_of, key_of
from astria_emulator.request.connection import connection_of
from astria_emulator.request.journal import NOTE, Note
from astria_emulator.services import Caller, Services
from astria_emulator.spec.openapi import Spec

log = logging.getLogger(__name__)

EARLY_SECONDS = 5.0  # that an answer waits for callbacks that are to come before it


class PlainPaths:
    """Takes `.json`, a trailing slash and doubled slashes off the API's paths before routing.

    And opens the request's note.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]):
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[NOTE] = Note(time.perf_counter())
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            path = re.sub(r"/{2,}", "/", path).rstrip("/").removesuffix(".json")
            environ["PATH_INFO"] = path or "/"
        return self._app(environ, start_response)


def api_view(serving: Callable[[], Services], bound: BoundOperation) -> Callable[..., BaseResponse]:
    """The view of one operation; what it sets going begins when its answer has been sent."""

    def view(**path: str) -> BaseResponse:
        services = serving()
        asked = current_request()
        note: Note = asked.environ[NOTE]
        note.operation = bound.operation.id
        make = partial(answer, services, asked, path)
        services.runner.begin_answer()
        response: BaseResponse | None = None
        try:
            if found := inject_into_answer(
                services.faults, bound.operation.id, partial(brings_key, asked)
            ):
                note.faults = found.names
                if not found.does_work:
                    look(services, asked, path)
                hasten = partial(complete, services)
                response = found.answer(connection_of(asked.environ), make, hasten)
            else:
                response = make()
        finally:
            release = services.runner.end_answer()
            if response is None:
                release()
        response.call_on_close(release)
        return response

    def look(services: Services, asked: Request, path: dict[str, str]) -> None:
        """Note what is asked for and not done."""
        with suppress(ApiError):
            asked.environ[NOTE].call = read_call(services.config, asked, path)

    def answer(services: Services, asked: Request, path: dict[str, str]) -> Response:
        try:
            found = result(services, asked, path)
            asked.environ[NOTE].made = found.made
            return as_response(found)
        except ApiError as error:
            asked.environ[NOTE].explanation = error.explanation
            if isinstance(error, Invalid | Unauthorized):
                log.info("%s refused: %s", bound.operation.id, error.explanation)
            return error_response(error)

    def result(services: Services, asked: Request, path: dict[str, str]) -> Answer:
        note: Note = asked.environ[NOTE]
        if not services.config.keys:
            check_host(services.config, asked)
        origin = origin_of(asked)
        if bound.operation.needs_key:
            account = authenticate(services, asked.headers.get("Authorization"))
            note.account = account.id
        note.call = read_call(services.config, asked, path)
        loaded = bound.reader.load(note.call)
        if not bound.operation.needs_key:
            return bound.answer(services, Caller(0, origin), loaded)
        caller = caller_of(services, account, origin, loaded.workspace)
        return bound.answer(services, caller, loaded)

    def brings_key(asked: Request, key: str) -> bool:
        return key_of(asked.headers.get("Authorization")) == key

    def complete(services: Services) -> None:
        services.callbacks.wait(EARLY_SECONDS, objects=services.runner.complete_early())

    return view


def file_view(serving: Callable[[], Services], downloads: Downloads) -> Callable[..., BaseResponse]:
    """The view of a file's address; faults know it as the operation `file`."""

    def view(key: str) -> BaseResponse:
        services, asked = serving(), current_request()
        asked.environ[NOTE].operation = FILE
        make = partial(downloads.respond, services.files, key, asked.environ)
        if found := inject_into_answer(services.faults, FILE, lambda key: False):
            asked.environ[NOTE].faults = found.names
            return found.answer(connection_of(asked.environ), make, lambda: None)
        return make()

    return view


def unexpected_error(error: Exception) -> Response:
    log.error("unexpected error\n%s", trace_of(error))
    return error_response(ApiError())


def note_request(serving: Callable[[], Services], spec: Spec, response: Response) -> Response:
    """One line and an entry in the journal for each request."""
    asked = current_request()
    path = asked.environ["PATH_INFO"]
    if path.startswith(PREFIX):
        return response
    note: Note = asked.environ[NOTE]
    seconds = time.perf_counter() - note.begun
    if asked.url_rule is None:
        note.explanation = nearest(spec, asked.method, asked.path)
    status = None if RESET in note.faults else response.status_code
    services = serving()
    services.journal.add(note, asked.environ, services.clock.now(), status, seconds)
    if log.isEnabledFor(logging.INFO):
        # Never a key, a query string or a body.
        shown = asked.path if asked.path.isprintable() else repr(asked.path)
        log.info("%s %s %s %.1f ms", asked.method, shown, status, seconds * 1000)
    return response


def nearest(spec: Spec, method: str, path: str) -> str:
    """What an address that leads nowhere may have been meant for."""
    known = {f"{one.method} {one.path}": one.id for one in spec.operations}
    meant = re.sub(r"/\d+", "/{id}", path)
    [found] = get_close_matches(f"{method} {meant}", known, n=1, cutoff=0.0)
    return f"there is no {method} {path}; the nearest is {found} ({known[found]})"
