"""create_app: the contract's operations as Flask routes, the keys, the files."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from emulator import jobs
from emulator.accounts import authenticate, caller_of
from emulator.config import Config
from emulator.errors import ApiError, Invalid, trace_of
from emulator.files import KEY_LENGTH
from emulator.handlers import all_handlers
from emulator.media import Media
from emulator.operations import BoundOperation, bind
from emulator.schemas import Compiler
from emulator.services import Caller, Services, build
from emulator.spec import JSON, Spec, default_path
from emulator.surface import PREFIX, add_surface
from emulator.web import (
    as_response,
    check_host,
    error_response,
    http_error,
    origin_of,
    read_call,
    route,
)

log = logging.getLogger(__name__)

BEGUN = "emulator.begun"  # when a request came in, by time.perf_counter
QUICK_BYTES = 65536
SLOW = re.compile(rf"/+(_emulator\b|images\b|[0-9a-z]{{{KEY_LENGTH}}}(\.json)?/*$)")


class Emulator(Flask):
    """A Flask application that carries its services."""

    services: Services

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


def create_app(config: Config | None = None, *, spec_path: Path | None = None) -> Emulator:
    """Put the server together and start its runner.

    Raises SetupError with all that is wrong with the settings or the contract.
    """
    config = config or Config()
    path = spec_path or default_path()
    compiler = Compiler(Spec.read(path))
    operations = bind(compiler.spec.operations, all_handlers(), compiler)
    app = Emulator("emulator", static_folder=None)
    app.services = build(config, compiler, jobs.run)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    for bound in operations:
        for at in (bound.operation.path, *bound.operation.aliases):
            route(app, at, bound.operation, api_view(app.services, bound))
    media = Media(app.services)
    file_rule = f"/<string(length={KEY_LENGTH}):key>"
    app.add_url_rule(file_rule, "file", lambda key: media.respond(key, request.environ))
    home = Response(status=302, headers={"Location": f"{PREFIX}/"})
    app.add_url_rule("/", "home", lambda: home)
    add_surface(app, app.services, path)
    app.register_error_handler(ApiError, error_response)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unexpected_error)
    app.after_request(log_request)
    app.wsgi_app = PlainPaths(app.wsgi_app)  # type: ignore[method-assign]
    app.services.start()
    return app


class PlainPaths:
    """Takes `.json`, a trailing slash and doubled slashes off the API's paths before routing.

    And notes when a request came in.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]):
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[BEGUN] = time.perf_counter()
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            path = re.sub(r"/{2,}", "/", path).rstrip("/").removesuffix(".json")
            environ["PATH_INFO"] = path or "/"
        return self._app(environ, start_response)


def api_view(services: Services, bound: BoundOperation) -> Callable[..., Response]:
    """The view of one operation; what it sets going begins when its answer has been sent."""

    def view(**path: str) -> Response:
        services.runner.begin_answer()
        response: Response | None = None
        try:
            response = as_response(answer(path))
        except ApiError as error:
            if isinstance(error, Invalid):
                log.info("%s refused: %s", bound.operation.id, error.explanation)
            response = error_response(error)
        finally:
            release = services.runner.end_answer()
            if response is None:
                release()
        response.call_on_close(release)
        return response

    def answer(path: dict[str, str]) -> Any:
        if not services.config.keys:
            check_host(services.config, request)
        origin = origin_of(request)
        if not bound.operation.needs_key:
            return bound.answer(
                services, Caller(0, origin), bound.load(read_call(services.config, request, path))
            )
        account = authenticate(services, request.headers.get("Authorization"))
        loaded = bound.load(read_call(services.config, request, path))
        caller = caller_of(services, account, origin, loaded.workspace)
        return bound.answer(services, caller, loaded)

    return view


def unexpected_error(error: Exception) -> Response:
    log.error("unexpected error\n%s", trace_of(error))
    return error_response(ApiError())


def log_request(response: Response) -> Response:
    """One line a request: never a key, a query string or a body."""
    if log.isEnabledFor(logging.INFO) and not request.path.startswith(PREFIX):
        milliseconds = (time.perf_counter() - request.environ[BEGUN]) * 1000
        path = request.path if request.path.isprintable() else repr(request.path)
        log.info("%s %s %d %.1f ms", request.method, path, response.status_code, milliseconds)
    return response
