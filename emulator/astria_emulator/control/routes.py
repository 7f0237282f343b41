"""The routes under /_emulator/, which Astria does not have: control, health, documentation."""

import hmac
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.utils import send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from astria_emulator.api.operations import BoundOperation, bind
from astria_emulator.api.web import (
    PREFIX,
    as_response,
    check_host,
    current_request,
    origin_of,
    read_call,
    route,
)
from astria_emulator.config import Config
from astria_emulator.control import archive, handlers
from astria_emulator.control.swagger import with_flat_forms
from astria_emulator.errors import Forbidden, TooLarge, UnsupportedMediaType
from astria_emulator.services import Caller, Services
from astria_emulator.spec.loading import control_contract
from astria_emulator.spec.openapi import JSON

DOCS = Path(__file__).with_name("docs")
ZIP = "application/zip"
IN_MEMORY = 1 << 20  # bytes of an archive; a longer one is written to a temporary file


def add_control_routes(app: Flask, serving: Callable[[], Services], contract: Path) -> None:
    """Route the control operations, the contract and the documentation pages."""
    compiler = control_contract()
    plain = []
    for operation in compiler.spec.operations:
        if stream := STREAMS.get(operation.id):
            route(app, operation.path, operation, stream_view(serving, stream))
        else:
            plain.append(operation)
    for bound in bind(plain, handlers.HANDLERS, compiler):
        route(app, bound.operation.path, bound.operation, control_view(serving, bound))

    def page(name: str = "index.html") -> BaseResponse:
        return send_from_directory(DOCS, name, request.environ, max_age=3600)

    def contract_yaml() -> Response:
        return Response(contract.read_bytes(), content_type="application/yaml")

    def contract_json() -> Response:
        document = with_flat_forms(serving().contract.spec, origin_of(request))
        return Response(json.dumps(document), content_type=JSON)

    app.add_url_rule(f"{PREFIX}/", "docs", page)
    app.add_url_rule(f"{PREFIX}/docs/<name>", "docs asset", page)
    app.add_url_rule(f"{PREFIX}/openapi.yaml", "contract", contract_yaml)
    app.add_url_rule(f"{PREFIX}/openapi.json", "contract with flat forms", contract_json)


def control_view(serving: Callable[[], Services], bound: BoundOperation) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        services = serving()
        check_caller(services.config, needs_token=bound.operation.needs_key)
        caller = Caller(0, origin_of(request))
        loaded = bound.reader.load(read_call(services.config, request, path))
        return as_response(bound.answer(services, caller, loaded))

    return view


def stream_view(
    serving: Callable[[], Services], stream: Callable[[Services, Request], Response]
) -> Callable[[], Response]:
    def view() -> Response:
        services = serving()
        check_caller(services.config, needs_token=True)
        return stream(services, current_request())

    return view


def export_state(services: Services, request: Request) -> Response:
    """Answer with the archive of all state, written while it is sent."""
    headers = {"Content-Disposition": 'attachment; filename="state.zip"'}
    pieces = archive.write(services.state(), handlers.version())
    return Response(pieces, headers=headers, content_type=ZIP)


def import_state(services: Services, request: Request) -> Response:
    """Restore the state of an archive.

    Raises UnsupportedMediaType, TooLarge, and what `archive.load` raises.
    """
    if request.mimetype not in (ZIP, ""):
        raise UnsupportedMediaType
    with SpooledTemporaryFile(IN_MEMORY) as upload:
        try:
            shutil.copyfileobj(request.stream, upload)
        except RequestEntityTooLarge:
            raise TooLarge from None
        state = archive.load(upload, services.config.max_body, services.contract.spec)
    services.restore(state.at(origin_of(request)))
    return Response(json.dumps(state.counts), content_type=JSON)


# The operations without JSON, by operationId.
STREAMS = {stream.__name__: stream for stream in (export_state, import_state)}


def check_caller(config: Config, *, needs_token: bool) -> None:
    """Check the host, the origin and, where it is needed, the token.

    Raises Forbidden.
    """
    check_host(config, request)
    check_origin()
    if needs_token:
        check_token(config)


def check_origin() -> None:
    """Refuse requests that a web page of another site sends.

    Raises Forbidden.
    """
    origin = request.headers.get("Origin")
    try:
        if origin is None or urlsplit(origin).netloc == request.headers.get("Host"):
            return
    except ValueError:
        pass
    raise Forbidden("requests from other sites are refused")


def check_token(config: Config) -> None:
    """Require the control token, except on loopback where none is set.

    Raises Forbidden.
    """
    if config.on_loopback and not config.control_token:
        return
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    token = config.control_token
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise Forbidden("this needs `Authorization: Bearer` and the control token")
