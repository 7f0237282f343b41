"""create_app: Flask routes from the contract's operations, the keys, the errors."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.http import parse_options_header

from emulator.accounts import authenticate, caller_for, scope
from emulator.answers import Answer
from emulator.bodies import read_multipart, read_urlencoded
from emulator.config import Config
from emulator.control import add_control
from emulator.errors import ApiError, BadRequest, Invalid, TooLarge
from emulator.files import KEY_LENGTH
from emulator.handlers import all_handlers
from emulator.media import Media
from emulator.operations import BoundOperation, Call, bind
from emulator.schemas import Compiler
from emulator.services import Caller, Services, build
from emulator.spec import JSON, Spec, default_path

log = logging.getLogger(__name__)

OWN_PREFIX = "/_emulator"
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class Emulator(Flask):
    """A Flask application that carries its services."""

    services: Services

    def close(self) -> None:
        """Stop the work; a test that made the application calls this."""
        self.services.close()


def create_app(config: Config | None = None, *, spec_path: Path | None = None) -> Emulator:
    """Put the server together and start its runner.

    Raises SetupError with all that is wrong with the settings or the contract.
    """
    config = config or Config()
    spec = Spec.read(spec_path or default_path())
    compiler = Compiler(spec)
    operations = bind(spec.operations, all_handlers(), compiler)
    app = Emulator("emulator", static_folder=None)
    app.services = build(config, compiler)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_mb * 1_000_000
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    for bound in operations:
        for path in (bound.operation.path, *bound.operation.aliases):
            route(app, path, bound, api_view(app.services, bound))
    media = Media(app.services)
    app.add_url_rule(
        f"/<string(length={KEY_LENGTH}):key>",
        view_func=lambda key: media.respond(key, request.environ),
        endpoint="file",
    )
    app.add_url_rule(
        "/",
        view_func=lambda: Response(status=302, headers={"Location": f"{OWN_PREFIX}/"}),
        endpoint="home",
    )
    add_control(app, app.services, spec)
    app.register_error_handler(ApiError, error_response)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unexpected_error)
    app.before_request(lambda: setattr(g, "begun", time.perf_counter()))
    app.after_request(log_request)
    app.wsgi_app = PlainPaths(app.wsgi_app)  # type: ignore[method-assign]
    app.services.runner.start()
    return app


def route(app: Flask, path: str, bound: BoundOperation, view: Callable[..., Response]) -> None:
    """Add an operation's path, `/tunes/{id}`, as a rule, `/tunes/<id>`."""
    rule = re.sub(r"\{(\w+)\}", r"<\1>", path)
    app.add_url_rule(rule, f"{bound.operation.id} {path}", view, methods=[bound.operation.method])


class PlainPaths:
    """Takes `.json`, a trailing slash and doubled slashes off the API's paths before routing."""

    def __init__(self, app: Callable[..., Iterable[bytes]]):
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(OWN_PREFIX):
            environ["PATH_INFO"] = (
                re.sub(r"/{2,}", "/", path).rstrip("/").removesuffix(".json") or "/"
            )
        return self._app(environ, start_response)


def api_view(services: Services, bound: BoundOperation) -> Callable[..., Response]:
    """The view of one operation; what it sets going begins when its answer has been sent."""

    def view(**path: str) -> Response:
        services.runner.begin_answer()
        try:
            caller = identify(services, bound)
            response = as_response(bound.answer(services, caller, read_call(request, path)))
        except Invalid as error:
            log.info("%s refused: %s", bound.operation.id, error.explanation)
            response = error_response(error)
        finally:
            release = services.runner.end_answer()
        response.call_on_close(release)
        return response

    return view


def identify(services: Services, bound: BoundOperation) -> Caller:
    """Who asks.

    Raises Unauthorized, or NotFound for an unknown workspace.
    """
    origin = request.host_url.rstrip("/")
    if not bound.operation.needs_key:
        return Caller(0, origin)
    account = authenticate(services, request.headers.get("Authorization"))
    return caller_for(
        services, account, origin, scope(services, account, request.headers.get("X-Workspace-Id"))
    )


def read_call(request: Request, path: dict[str, str]) -> Call:
    """A Flask request in plain values.

    Raises BadRequest and TooLarge.
    """
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    call: dict[str, Any] = {
        "path": path,
        "query": read_urlencoded(request.query_string),
        "headers": request.headers,
    }
    call["content_type"] = kind = kind.lower() or JSON
    if request.method in ("GET", "DELETE"):
        return Call(**call)
    try:
        if kind == MULTIPART and request.headers.get("Content-Length") != "0":
            if not options.get("boundary"):
                raise BadRequest("the multipart body has no boundary")
            fields = read_multipart(request.stream, options["boundary"])
            return Call(**call, fields=fields, has_body=True)
        text = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLarge from None
    if kind == URLENCODED:
        return Call(**call, fields=read_urlencoded(text), has_body=bool(text))
    return Call(**call, text=text, has_body=bool(text))


def as_response(answer: Answer) -> Response:
    return Response(
        answer.body, answer.status, dict(answer.headers), content_type=answer.content_type
    )


def error_response(error: ApiError) -> Response:
    """An error in the wire's form: JSON, or plain text where the body is text."""
    plain = isinstance(error.body, str)
    body = (
        error.body if plain else json.dumps(error.body, ensure_ascii=False, separators=(",", ":"))
    )
    return Response(
        body,
        error.status,
        error.headers,
        content_type="text/plain; charset=utf-8" if plain else JSON,
    )


def http_error(error: HTTPException) -> Response:
    """What Flask itself refuses: unknown paths and methods."""
    code = error.code or 500
    headers = (
        {"Allow": ", ".join(sorted(error.valid_methods))}
        if isinstance(error, MethodNotAllowed) and error.valid_methods
        else {}
    )
    body = json.dumps({"status": code, "error": error.name}, separators=(",", ":"))
    return Response(body, code, headers, content_type=JSON)


def unexpected_error(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return error_response(ApiError())


def log_request(response: Response) -> Response:
    """One line a request: never a key, a query string or a body."""
    if not request.path.startswith(OWN_PREFIX):
        milliseconds = (time.perf_counter() - g.begun) * 1000
        log.info(
            "%s %s %d %.1f ms", request.method, request.path, response.status_code, milliseconds
        )
    return response
