"""create_app: the contract's operations as Flask routes, the keys, the files."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from astria_emulator import seed_data
from astria_emulator.api.answers import Answer
from astria_emulator.api.downloads import Media
from astria_emulator.api.handlers import all_handlers
from astria_emulator.api.operations import BoundOperation, bind
from astria_emulator.api.web import (
    as_response,
    check_host,
    current_request,
    error_response,
    http_error,
    origin_of,
    read_call,
    route,
)
from astria_emulator.assembly import build
from astria_emulator.config import Config
from astria_emulator.errors import ApiError, Invalid, SetupError, Unauthorized, trace_of
from astria_emulator.faults.answering import RESET, blow
from astria_emulator.faults.kinds import FILE
from astria_emulator.faults.reading import first_rules, operations_of
from astria_emulator.objects.accounts import authenticate, caller_of, key_of
from astria_emulator.outbound.outbox import Outbox
from astria_emulator.request.connection import connection_of
from astria_emulator.request.journal import NOTE, Note
from astria_emulator.services import Caller, Services
from astria_emulator.spec.openapi import JSON, Spec, default_path
from astria_emulator.spec.schemas import Compiler
from astria_emulator.storage.file_keys import KEY_LENGTH
from astria_emulator.surface import PREFIX, add_surface
from astria_emulator.work import jobs

log = logging.getLogger(__name__)

QUICK_BYTES = 65536
EARLY_SECONDS = 5.0  # that an answer waits for callbacks that are to come before it
SLOW = re.compile(rf"/+(_emulator\b|images\b|[0-9a-z]{{{KEY_LENGTH}}}(\.json)?/*$)")


class Emulator(Flask):
    """A Flask application that carries its services."""

    services: Services
    compiler: Compiler

    def open(self, config: Config, *, outbox: Outbox | None = None) -> None:
        """Begin with nothing; callbacks leave by `outbox`, or over HTTP.

        Raises SetupError.
        """
        self.services = build(config, self.compiler, jobs.run, outbox=outbox)
        try:
            known = operations_of(self.compiler.spec)
            self.services.faults.start_with(first_rules(config, known))
            seed_data.begin(self.services)
        except SetupError:
            self.services.store.close()
            raise
        self.config["MAX_CONTENT_LENGTH"] = config.max_body
        self.services.start()

    def close(self) -> None:
        """Stop the work; a test that made the application calls this."""
        self.services.close()

    def is_quick(self, request: Any) -> bool:
        """Whether a request that waitress has read is answered without waiting for anything.

        It may wait for the store, a picture to be drawn, a network or, in a form, a file.
        """
        form = not request.headers.get("CONTENT_TYPE", JSON).startswith(JSON)
        large = request.content_length > QUICK_BYTES
        return self.services.is_quick and not (form or large or SLOW.match(request.path))


def create_app(
    config: Config | None = None, *, spec_path: Path | None = None, outbox: Outbox | None = None
) -> Emulator:
    """Put the server together and start its runner.

    Raises SetupError with all that is wrong with the settings or the contract.
    """
    path = spec_path or default_path()
    app = Emulator("astria_emulator", static_folder=None)
    app.compiler = Compiler(Spec.read(path))
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    for bound in bind(app.compiler.spec.operations, all_handlers(), app.compiler):
        for at in (bound.operation.path, *bound.operation.aliases):
            route(app, at, bound.operation, api_view(app, bound))
    app.add_url_rule(f"/<string(length={KEY_LENGTH}):key>", FILE, file_view(app, Media()))
    home = Response(status=302, headers={"Location": f"{PREFIX}/"})
    app.add_url_rule("/", "home", lambda: home)
    add_surface(app, lambda: app.services, path)
    app.register_error_handler(ApiError, error_response)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unexpected_error)
    app.after_request(partial(note_request, app))
    app.wsgi_app = PlainPaths(app.wsgi_app)  # type: ignore[method-assign]
    app.open(config or Config(), outbox=outbox)
    return app


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


def api_view(app: Emulator, bound: BoundOperation) -> Callable[..., BaseResponse]:
    """The view of one operation; what it sets going begins when its answer has been sent."""

    def view(**path: str) -> BaseResponse:
        services = app.services
        asked = current_request()
        note: Note = asked.environ[NOTE]
        note.operation = bound.operation.id
        make = partial(answer, services, asked, path)
        services.runner.begin_answer()
        response: BaseResponse | None = None
        try:
            if found := blow(services.faults, bound.operation.id, partial(brings_key, asked)):
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
        services.callbacks.wait(EARLY_SECONDS, of=services.runner.hasten())

    return view


def file_view(app: Emulator, media: Media) -> Callable[..., BaseResponse]:
    """The view of a file's address; faults know it as the operation `file`."""

    def view(key: str) -> BaseResponse:
        asked = current_request()
        asked.environ[NOTE].operation = FILE
        make = partial(media.respond, app.services.files, key, asked.environ)
        if found := blow(app.services.faults, FILE, lambda key: False):
            asked.environ[NOTE].faults = found.names
            return found.answer(connection_of(asked.environ), make, lambda: None)
        return make()

    return view


def unexpected_error(error: Exception) -> Response:
    log.error("unexpected error\n%s", trace_of(error))
    return error_response(ApiError())


def note_request(app: Emulator, response: Response) -> Response:
    """One line and an entry in the journal for each request."""
    asked = current_request()
    path = asked.environ["PATH_INFO"]
    if path.startswith(PREFIX):
        return response
    note: Note = asked.environ[NOTE]
    seconds = time.perf_counter() - note.begun
    if asked.url_rule is None:
        note.explanation = nearest(app, asked.method, asked.path)
    status = None if RESET in note.faults else response.status_code
    services = app.services
    services.journal.add(note, asked.environ, services.clock.now(), status, seconds)
    if log.isEnabledFor(logging.INFO):
        # Never a key, a query string or a body.
        shown = asked.path if asked.path.isprintable() else repr(asked.path)
        log.info("%s %s %s %.1f ms", asked.method, shown, status, seconds * 1000)
    return response


def nearest(app: Emulator, method: str, path: str) -> str:
    """What an address that leads nowhere may have been meant for."""
    known = {
        f"{operation.method} {operation.path}": operation.id
        for operation in app.compiler.spec.operations
    }
    meant = re.sub(r"/\d+", "/{id}", path)
    [found] = get_close_matches(f"{method} {meant}", known, n=1, cutoff=0.0)
    return f"there is no {method} {path}; the nearest is {found} ({known[found]})"
