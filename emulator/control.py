"""The emulator's own surface under /_emulator/: control, health, interactive documentation."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.utils import send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from emulator.accounts import account_of, is_key
from emulator.clock import VirtualClock
from emulator.errors import Conflict, Forbidden, Invalid
from emulator.operations import BoundOperation, bind
from emulator.schemas import Compiler
from emulator.services import Caller, Services
from emulator.spec import JSON, Spec
from emulator.store import Query

CALLBACK_SECONDS = 15.0
DOCS = Path(__file__).parent / "docs"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Given = Mapping[str, Any]


def health(services: Services, caller: Caller) -> Given:
    return {"status": "ok"}


def info(services: Services, caller: Caller) -> Given:
    config = services.config
    schema = services.contract.spec.schema("Branch")
    return {
        "name": "astria-emulator",
        "version": version(),
        "contract": services.contract.spec.document["info"]["version"],
        "capabilities": {
            "clock": "virtual" if isinstance(services.clock, VirtualClock) else "system",
            "seed": config.seed,
            "idempotency_switch": True,
            "finish": True,
            "real_training": services.backend is not services.mock,
            "callback_hosts": list(config.callback_hosts),
            "backends": {branch: services.backend_for(branch).name for branch in schema["enum"]},
        },
        "settings": read_settings(services, caller),
        "assumptions": config.assumed,
    }


def reset(services: Services, caller: Caller) -> Given:
    services.reset()
    return {"status": "ok"}


def read_clock(services: Services, caller: Caller) -> Given:
    return {"now": services.clock.now(), "virtual": isinstance(services.clock, VirtualClock)}


def advance_clock(services: Services, caller: Caller, *, body: Given) -> Given:
    if not isinstance(services.clock, VirtualClock):
        raise Conflict(
            "the clock is the system's; start with --clock TIME for one that can be moved"
        )
    try:
        services.clock.advance(timedelta(**body))
    except OverflowError:
        raise Invalid({"days": ["is too far"]}) from None
    services.runner.settle()
    return read_clock(services, caller)


def finish(services: Services, caller: Caller) -> Given:
    jobs = services.runner.finish()
    return {"jobs": jobs, "callbacks_ended": services.callbacks.wait(CALLBACK_SECONDS)}


def read_settings(services: Services, caller: Caller) -> Given:
    return {"idempotency": services.idempotency}


def change_settings(services: Services, caller: Caller, *, body: Given) -> Given:
    key = body.get("key")
    if not key:
        services.idempotency = body["idempotency"]
        return read_settings(services, caller)
    if not is_key(services, key):
        raise Invalid({"key": ["is not an account's key"]})
    services.store.update(account_of(services, key), {"idempotency": body["idempotency"]})
    return {"idempotency": body["idempotency"]}


def list_callbacks(services: Services, caller: Caller) -> list[Given]:
    return [dict(row) for row in services.store.find("delivery", Query(None))]


def list_jobs(services: Services, caller: Caller) -> list[Given]:
    return [asdict(job) for job in services.store.jobs()]


HANDLERS = (
    health,
    info,
    reset,
    read_clock,
    advance_clock,
    finish,
    read_settings,
    change_settings,
    list_callbacks,
    list_jobs,
)


def version() -> str:
    try:
        return metadata.version("astria-emulator")
    except metadata.PackageNotFoundError:
        return "0+unknown"


# -- routes ----------------------------------------------------------------------------------------
def add_control(app: Flask, services: Services, contract: Spec) -> None:
    """Route the control operations, the contract and the documentation pages."""
    from emulator.app import as_response, read_call, route

    spec = Spec.read(Path(__file__).with_name("control.yaml"))
    handlers = {handler.__name__: handler for handler in HANDLERS}

    def view_of(bound: BoundOperation) -> Callable[..., Response]:
        def view(**path: str) -> Response:
            check_origin(services)
            if bound.operation.needs_key:
                check_token(services)
            caller = Caller(0, request.host_url.rstrip("/"))
            return as_response(bound.answer(services, caller, read_call(request, path)))

        return view

    for bound in bind(spec.operations, handlers, Compiler(spec)):
        route(app, bound.operation.path, bound, view_of(bound))

    def page(name: str = "index.html") -> BaseResponse:
        return send_from_directory(DOCS, name, request.environ, max_age=3600)

    def contract_yaml() -> Response:
        from emulator.spec import default_path

        return Response(default_path().read_bytes(), content_type="application/yaml")

    def contract_json() -> Any:
        import json

        from emulator.flat_forms import with_flat_forms

        return Response(
            json.dumps(with_flat_forms(contract, request.host_url.rstrip("/"))), content_type=JSON
        )

    app.add_url_rule("/_emulator/", "docs", page)
    app.add_url_rule("/_emulator/docs/<name>", "docs asset", page)
    app.add_url_rule("/_emulator/openapi.yaml", "contract", contract_yaml)
    app.add_url_rule("/_emulator/openapi.json", "contract for the docs", contract_json)


def check_origin(services: Services) -> None:
    """Refuse what a web page of another site sends, and names that only pretend to be this machine.

    Raises Forbidden.
    """
    known = {*LOOPBACK, urlsplit(services.config.public_url).hostname, services.config.host}
    host = urlsplit(f"//{request.host}").hostname
    if services.config.on_loopback and host not in known:
        raise Forbidden(f"host {host!r} is not this server's; name it with --public-url")
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host:
        raise Forbidden("requests from other sites are refused")


def check_token(services: Services) -> None:
    """Raises Forbidden."""
    config = services.config
    if config.on_loopback and not config.control_token:
        return
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not config.control_token or not hmac.compare_digest(
        sent.encode(), config.control_token.encode()
    ):
        raise Forbidden("this needs `Authorization: Bearer` and the control token")
