"""`create_app`: the Flask application, with a route for each operation and for files."""

import re
from functools import partial
from pathlib import Path

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from astria_emulator.api.downloads import Downloads
from astria_emulator.api.handlers import all_handlers
from astria_emulator.api.operations import bind
from astria_emulator.api.views import (
    PlainPaths,
    api_view,
    file_view,
    note_request,
    unexpected_error,
)
from astria_emulator.api.web import PREFIX, error_response, http_error, route
from astria_emulator.assembly import build
from astria_emulator.config import Config
from astria_emulator.control import seed_data
from astria_emulator.control.routes import add_control_routes
from astria_emulator.errors import ApiError, SetupError
from astria_emulator.faults.kinds import FILE
from astria_emulator.faults.reading import configured_rules, operation_names
from astria_emulator.outbound.outbox import Outbox
from astria_emulator.services import Services
from astria_emulator.spec.openapi import JSON, Spec, default_path
from astria_emulator.spec.schemas import Compiler
from astria_emulator.storage.file_keys import KEY_LENGTH
from astria_emulator.work import jobs

QUICK_BYTES = 65536
HEALTH = f"{PREFIX}/health"
# What draws or looks at pictures, and what one request may make many objects or copies with.
SLOW = re.compile(
    rf"/+(_emulator\b|images\b|themes\b|p/+[^/]+/+tunes\b|prompts/+\d+/+duplicate\b"
    rf"|[0-9a-z]{{{KEY_LENGTH}}}(\.json)?/*$)"
)

TUNE = re.compile(r"/+tunes/+\d+(\.json)?/*$")  # a change of it changes all of its prompts


class Emulator(Flask):
    """A Flask application that carries its services."""

    services: Services
    compiler: Compiler
    downloads: Downloads

    def open(self, config: Config, *, outbox: Outbox | None = None) -> None:
        """Start with an empty server. `outbox` sends callbacks; by default over HTTP.

        Raises SetupError.
        """
        self.services = build(config, self.compiler, jobs.run, outbox=outbox)
        try:
            known = operation_names(self.compiler.spec)
            self.services.faults.start_with(configured_rules(config, known))
            seed_data.begin(self.services)
        except SetupError:
            self.services.store.close()
            raise
        self.config["MAX_CONTENT_LENGTH"] = config.max_body
        self.services.start()

    def close(self) -> None:
        """Stop the work. Whoever made the application calls this at the end."""
        self.services.close()
        self.downloads.close()

    def is_quick(self, path: str, content_type: str | None, length: int) -> bool:
        """Whether a request with a body of `length` bytes can be answered without a wait.

        Others may wait for the store, the drawing of a picture, a network or a form's files.

        What waits for nothing is answered in the thread that has read it. In another one, a GET
        takes 21 % more CPU time and a POST 26 % (8 connections, waitress 3.0.2, December 2026).
        """
        if path == HEALTH:  # it must be answered even when all other threads wait
            return True
        form = content_type is not None and not content_type.startswith(JSON)
        large = length > QUICK_BYTES
        slow = SLOW.match(path) or (length and TUNE.match(path))
        return self.services.is_quick and not (form or large or slow)

    def may_fetch(self, method: str, path: str) -> bool:
        """Whether the answer to a request may wait for files of other servers."""
        is_sent = method in ("POST", "PUT", "PATCH") and not path.startswith(PREFIX)
        return is_sent and self.services.may_fetch


def create_app(
    config: Config | None = None, *, spec_path: Path | None = None, outbox: Outbox | None = None
) -> Emulator:
    """Build the server and start its runner.

    Raises SetupError with all that is wrong with the settings or the contract.
    """
    path = spec_path or default_path()
    app = Emulator("astria_emulator", static_folder=None)
    app.compiler = Compiler(Spec.read(path))
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False

    def serving() -> Services:
        return app.services

    for bound in bind(app.compiler.spec.operations, all_handlers(), app.compiler):
        for path_pattern in (bound.operation.path, *bound.operation.aliases):
            route(app, path_pattern, bound.operation, api_view(serving, bound))
    app.downloads = Downloads()
    view = file_view(serving, app.downloads)
    app.add_url_rule(f"/<string(length={KEY_LENGTH}):key>", FILE, view)
    home = Response(status=302, headers={"Location": f"{PREFIX}/"})
    app.add_url_rule("/", "home", lambda: home)
    add_control_routes(app, serving, path)
    app.register_error_handler(ApiError, error_response)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unexpected_error)
    app.after_request(partial(note_request, serving, app.compiler.spec))
    app.wsgi_app = PlainPaths(app.wsgi_app)  # type: ignore[method-assign]
    app.open(config or Config(), outbox=outbox)
    return app
