"""Everything that Astria does not have, under /_emulator/: control, health, documentation."""

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.utils import send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from emulator import control
from emulator.config import Config
from emulator.errors import Forbidden
from emulator.faults.reading import control_contract
from emulator.flat_forms import with_flat_forms
from emulator.operations import BoundOperation, bind
from emulator.services import Caller, Services
from emulator.spec import JSON
from emulator.web import as_response, check_host, origin_of, read_call, route

PREFIX = "/_emulator"
DOCS = Path(__file__).with_name("docs")


def add_surface(app: Flask, serving: Callable[[], Services], contract: Path) -> None:
    """Route the control operations, the contract and the documentation pages."""
    compiler = control_contract()
    for bound in bind(compiler.spec.operations, control.HANDLERS, compiler):
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
        check_host(services.config, request)
        check_origin()
        if bound.operation.needs_key:
            check_token(services.config)
        caller = Caller(0, origin_of(request))
        loaded = bound.load(read_call(services.config, request, path))
        return as_response(bound.answer(services, caller, loaded))

    return view


def check_origin() -> None:
    """Refuse what a web page of another site sends.

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
    """Raises Forbidden."""
    if config.on_loopback and not config.control_token:
        return
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    token = config.control_token
    if not token or not hmac.compare_digest(sent.encode(), token.encode()):
        raise Forbidden("this needs `Authorization: Bearer` and the control token")
