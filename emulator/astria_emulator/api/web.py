"""Between Flask and plain values: read requests, write answers and errors."""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.wrappers import Response as BaseResponse

from astria_emulator.api.answers import Answer
from astria_emulator.config import ASTRIA_HOSTS, Config
from astria_emulator.errors import ApiError, BadRequest, Forbidden, TooLarge
from astria_emulator.request.bodies import read_multipart, read_urlencoded
from astria_emulator.request.calls import Call
from astria_emulator.request.connection import IS_LOCAL
from astria_emulator.spec.openapi import JSON, Operation

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def current_request() -> Request:
    """Return the request itself: each access through Flask's proxy costs a microsecond."""
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    return current


def route(app: Flask, path: str, operation: Operation, view: Callable[..., BaseResponse]) -> None:
    """Add an operation's path, `/tunes/{id}`, as a rule, `/tunes/<id>`."""
    rule = re.sub(r"\{(\w+)\}", r"<\1>", path)
    app.add_url_rule(rule, f"{operation.id} {path}", view, methods=[operation.method])


def read_call(config: Config, request: Request, path: dict[str, str]) -> Call:
    """Return a Flask request in plain values.

    Raises BadRequest and TooLarge.
    """
    kind, boundary = _content_type(request.headers.get("Content-Type"))
    call: dict[str, Any] = {"path": path, "headers": request.headers, "content_type": kind}
    call["query"] = read_urlencoded(request.query_string)
    if request.method in ("GET", "DELETE"):
        return Call(**call)
    try:
        if kind == MULTIPART and request.headers.get("Content-Length") != "0":
            if not boundary:
                raise BadRequest("the multipart body has no boundary")
            fields = read_multipart(request.stream, boundary, config.max_file)
            return Call(**call, fields=fields, has_body=True)
        text = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLarge from None
    if kind == URLENCODED:
        return Call(**call, fields=read_urlencoded(text), has_body=bool(text))
    return Call(**call, text=text, has_body=bool(text))


@lru_cache(64)
def _content_type(header: str | None) -> tuple[str, str]:
    """Return the media type, and the boundary of a form."""
    kind, options = parse_options_header(header)
    return kind.lower() or JSON, options.get("boundary", "")


def as_response(answer: Answer) -> Response:
    headers = dict(answer.headers)
    return Response(answer.body, answer.status, headers, content_type=answer.content_type)


def error_response(error: ApiError) -> Response:
    """Return an error as the wire has it: JSON, or plain text where its body is text."""
    if isinstance(error.body, str):
        body, kind = error.body, "text/plain; charset=utf-8"
    else:
        body, kind = json.dumps(error.body, ensure_ascii=False, separators=(",", ":")), JSON
    return Response(body, error.status, error.headers, content_type=kind)


def http_error(error: HTTPException) -> Response:
    """Return the answer to what Flask itself refuses: unknown paths and methods."""
    code = error.code or 500
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    body = json.dumps({"status": code, "error": error.name}, separators=(",", ":"))
    return Response(body, code, headers, content_type=JSON)


def origin_of(request: Request) -> str:
    """Return scheme and host that a request was sent to: `http://127.0.0.1:8417`.

    Raises BadRequest where the Host header is malformed.
    """
    return _origin(request.environ["wsgi.url_scheme"], request.headers.get("Host") or "localhost")


@lru_cache(64)
def _origin(scheme: str, host: str) -> str:
    try:
        if not re.fullmatch(r"[\w.:\[\]-]+", host, re.ASCII):
            raise ValueError(host)
        urlsplit(f"//{host}").port  # noqa: B018 - raises where there is no port number
    except ValueError:
        raise BadRequest("the Host header is no host") from None
    return f"{scheme}://{host}"


def check_host(config: Config, request: Request) -> None:
    """Refuse host names that are not this machine's, which guards against DNS rebinding.

    Raises Forbidden.
    """
    if not config.on_loopback or request.environ.get(IS_LOCAL):
        return
    origin = origin_of(request)
    if not _is_own(origin, config.host, config.public_url, tls=config.tls):
        host = urlsplit(origin).hostname
        raise Forbidden(f"host {host!r} is not this server's; name it with --public-url")


@lru_cache(64)
def _is_own(origin: str, bound_host: str, public_url: str, *, tls: bool) -> bool:
    host = urlsplit(origin).hostname or ""
    own = LOOPBACK | {bound_host, urlsplit(public_url).hostname or "localhost"}
    own |= set(ASTRIA_HOSTS) if tls else set()
    return host in own or host.endswith(".localhost")


PREFIX = "/_emulator"
