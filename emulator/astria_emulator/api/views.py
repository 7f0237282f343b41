"""The views behind the routes: operations and files; and the journal's note of each request."""

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
from astria_emulator.api.downloads import Downloads, respond
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
from astria_emulator.errors import (
    ApiError,
    Invalid,
    Unauthorized,
    Unavailable,
    disk_problem,
    trace_of,
)
from astria_emulator.faults.answering import RESET, inject_into_answer
from astria_emulator.faults.kinds import FILE
from astria_emulator.objects.accounts import authenticate, caller_of, key_of
from astria_emulator.request.connection import connection_of
from astria_emulator.request.journal import NOTE, Note
from astria_emulator.services import Caller, Services
from astria_emulator.spec.openapi import Spec

log = logging.getLogger(__name__)

LONGEST_PATH = 200  # characters of an unknown path that are compared with the known ones
EARLY_SECONDS = 5.0  # limit for the callbacks that a fault sends before the answer


class PlainPaths:
    """Removes `.json`, a trailing slash and doubled slashes from the API's paths before routing.

    Begins the request's note as well.
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
    """Return the view of an operation; the jobs that it schedules begin once the answer is sent."""

    def view(**path: str) -> BaseResponse:
        services = serving()
        request = current_request()
        note: Note = request.environ[NOTE]
        note.operation = bound.operation.id
        make = partial(answer, services, request, path)
        services.runner.begin_answer()
        response: BaseResponse | None = None
        try:
            if faults := inject_into_answer(
                services.faults, bound.operation.id, partial(has_key, request)
            ):
                note.faults = faults.names
                if not faults.does_work:
                    note_call(services, request, path)
                connection = connection_of(request.environ)
                response = faults.answer(connection, make, partial(complete, services))
            else:
                response = make()
        finally:
            release = services.runner.end_answer()
            if response is None:
                release()
        response.call_on_close(release)
        return response

    def note_call(services: Services, request: Request, path: dict[str, str]) -> None:
        """Note a request whose work is not done because of a fault."""
        with suppress(ApiError):
            request.environ[NOTE].call = read_call(services.config, request, path)

    def answer(services: Services, request: Request, path: dict[str, str]) -> Response:
        try:
            result = call_handler(services, request, path)
            request.environ[NOTE].made = result.made
            return as_response(result)
        except ApiError as error:
            request.environ[NOTE].explanation = error.explanation
            if isinstance(error, Invalid | Unauthorized):
                log.info("%s refused: %.1000s", bound.operation.id, error.explanation)
            return error_response(error)

    def call_handler(services: Services, request: Request, path: dict[str, str]) -> Answer:
        note: Note = request.environ[NOTE]
        if not services.config.keys:
            check_host(services.config, request)
        origin = origin_of(request)
        if bound.operation.needs_key:
            account = authenticate(services, request.headers.get("Authorization"))
            note.account = account.id
        note.call = read_call(services.config, request, path)
        loaded = bound.reader.load(note.call)
        if not bound.operation.needs_key:
            return bound.answer(services, Caller(0, origin), loaded)
        caller = caller_of(services, account, origin, loaded.workspace)
        return bound.answer(services, caller, loaded)

    def has_key(request: Request, key: str) -> bool:
        return key_of(request.headers.get("Authorization")) == key

    def complete(services: Services) -> None:
        """Complete this request's work, with its callbacks, before the answer."""
        services.callbacks.wait(EARLY_SECONDS, objects=services.runner.complete_early())

    return view


def file_view(serving: Callable[[], Services], downloads: Downloads) -> Callable[..., BaseResponse]:
    """Return the view of a file's address; to faults it is the operation `file`."""

    def view(key: str) -> BaseResponse:
        services, request = serving(), current_request()
        request.environ[NOTE].operation = FILE
        download = downloads.find(services.files, key, request.environ)
        make = partial(respond, download, request.environ)
        if faults := inject_into_answer(services.faults, FILE, lambda key: False):
            request.environ[NOTE].faults = faults.names
            return faults.answer(connection_of(request.environ), make, lambda: None)
        return make()

    return view


def unexpected_error(error: Exception) -> Response:
    """Return the answer to an error that nothing else takes; a full disk is a matter of time."""
    if isinstance(error, OSError) and (problem := disk_problem(error.errno)):
        log.warning("%s", problem)
        return error_response(Unavailable())
    log.error("unexpected error\n%s", trace_of(error))
    return error_response(ApiError())


def note_request(serving: Callable[[], Services], spec: Spec, response: Response) -> Response:
    """Write one log line and one entry of the journal for a request."""
    request = current_request()
    path = request.environ["PATH_INFO"]
    if path.startswith(PREFIX):
        return response
    note: Note = request.environ[NOTE]
    seconds = time.perf_counter() - note.begun
    if request.url_rule is None:
        note.explanation = describe_nearest(spec, request.method, request.path)
    status = None if RESET in note.faults else response.status_code
    services = serving()
    services.journal.add(note, request.environ, services.clock.now(), status, seconds)
    if log.isEnabledFor(logging.INFO):
        # Never a key, a query string or a body.
        shown = request.path if request.path.isprintable() else repr(request.path)
        log.info("%s %.200s %s %.1f ms", request.method, shown, status, seconds * 1000)
    return response


def describe_nearest(spec: Spec, method: str, path: str) -> str:
    """Return the explanation of an unknown address: the most similar operation."""
    ids = {f"{operation.method} {operation.path}": operation.id for operation in spec.operations}
    path = path[:LONGEST_PATH]
    template = re.sub(r"/\d+", "/{id}", path)
    [nearest] = get_close_matches(f"{method} {template}", ids, n=1, cutoff=0.0)
    return f"there is no {method} {path}; the nearest is {nearest} ({ids[nearest]})"
