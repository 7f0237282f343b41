"""Ways to plant a bug in an application in this process; each gives a function for a row's `plant`.

What a way is given as `change` alters a dictionary in place.
"""

import json
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from flask import Response

from astria_emulator.api import answers
from astria_emulator.api.operations import BoundOperation
from astria_emulator.api.web import error_response
from astria_emulator.app import Emulator
from astria_emulator.errors import ApiError, Invalid, NotFound
from astria_emulator.objects import tunes
from astria_emulator.objects.accounts import authenticate
from astria_emulator.request.reading import Reader
from astria_emulator.services import Caller, Services
from astria_emulator.storage.store import Query, Row
from astria_emulator.work import job_steps, training

Plant = Callable[[pytest.MonkeyPatch, Emulator], None]
Act = Callable[..., Any]
Change = Callable[[dict[str, Any]], object]

WRAPPERS = ("tune", "theme", "pack", "workspace")  # and prompt


@dataclass(frozen=True)
class Planted:
    """A bug, installed in an application before it is served."""

    name: str
    area: str
    plant: Plant


def rows(area: str, plants: Mapping[str, Plant]) -> tuple[Planted, ...]:
    return tuple(Planted(name, area, plant) for name, plant in plants.items())


def both(*plants: Plant) -> Plant:
    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        for one in plants:
            one(patch, app)

    return plant


# -- functions -------------------------------------------------------------------------------------
def swap(place: Any, name: str, make: Act) -> Plant:
    """Put `make(real)` in the place of a module's, class's or table's function."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        if isinstance(place, dict):
            patch.setitem(place, name, make(place[name]))
        else:
            patch.setattr(place, name, make(getattr(place, name)))

    return plant


def put(place: Any, name: str, value: Any) -> Plant:
    return swap(place, name, lambda real: value)


def own(part: str, name: str, make: Act) -> Plant:
    """Put `make(real)` in the place of a method of the application's own store or runner."""
    return lambda patch, app: swap(getattr(app.services, part), name, make)(patch, app)


def contract(path: str, **keywords: Any) -> Plant:
    """Change keywords of a component schema that has not been compiled: of a request's body."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        node: Any = app.services.contract.spec.document["components"]["schemas"]
        for step in path.split("."):
            node = node[step]
        for keyword, value in keywords.items():
            patch.setitem(node, keyword, value)

    return plant


def stepping(kind: str, event: str, change: Callable[[dict[str, Any], Row], object]) -> Plant:
    """Alter what an event of the life cycle writes: `change(changes, row)`."""

    def make(step: Act) -> Act:
        def taken(of: str, row: Row, what: str, now: Any) -> dict[str, Any]:
            changes: dict[str, Any] = step(of, row, what, now)
            if (of, what) == (kind, event):
                change(changes, row)
            return changes

        return taken

    return both(
        swap(job_steps, "step", make), swap(training, "step", make), swap(tunes, "step", make)
    )


# -- handlers --------------------------------------------------------------------------------------
def around(ids: str, act: Act) -> Plant:
    """Have operations answered by `act(handler, services, caller, arguments)`."""

    def make(real: Act) -> Act:
        def answer(bound: Any, services: Services, caller: Caller, loaded: Any) -> Any:
            if bound.operation.id in ids.split():
                handler, bound = bound._handler, copy(bound)
                bound._handler = lambda s, c, **arguments: act(handler, s, c, arguments)
            return real(bound, services, caller, loaded)

        return answer

    return swap(BoundOperation, "answer", make)


def given(ids: str, change: Change) -> Plant:
    """Alter the attributes that a request sends."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        body = arguments["body"]
        wrapper = next((name for name in WRAPPERS if name in body), "prompt")
        attributes = dict(body.get(wrapper) or {})
        change(attributes)
        return handler(services, caller, **{**arguments, "body": {**body, wrapper: attributes}})

    return around(ids, act)


def asked(ids: str, change: Change) -> Plant:
    """Alter the parameters of a query that has been read."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        query = dict(arguments["query"])
        change(query)
        return handler(services, caller, **{**arguments, "query": query})

    return around(ids, act)


def without(*names: str) -> Change:
    return lambda found: [found.pop(name, None) for name in names]


def ignored(ids: str, *names: str) -> Plant:
    return asked(ids, without(*names))


def sent(ids: str, change: Change) -> Plant:
    """Alter a query string's texts before they are read."""

    def make(real: Act) -> Act:
        def read(bound: Any, call: Any) -> Any:
            query = real(bound, call)
            if bound.operation.id in ids.split():
                change(query)
            return query

        return read

    return swap(Reader, "_sent_query", make)


def told(ids: str, change: Act) -> Plant:
    """Answer with `change(result)` of a handler's result."""
    return around(ids, lambda handler, s, c, arguments: change(handler(s, c, **arguments)))


def called_by(ids: str, change: Callable[[Caller], Caller]) -> Plant:
    """Have operations answered as if somebody else called."""
    return around(ids, lambda handler, s, c, arguments: handler(s, change(c), **arguments))


def as_owner(ids: str, table: str, *, named: str = "id") -> Plant:
    """Let every key do with an object what only its owner may."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        row = services.store.get(table, arguments[named])
        owner = row.owner if row is not None and row.owner is not None else caller.account
        return handler(services, replace(caller, account=owner), **arguments)

    return around(ids, act)


def for_everyone(ids: str) -> Plant:
    """Show lists of all accounts as one."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        users = services.store.find("user", Query(None))
        callers = [replace(caller, account=user.id) for user in users]
        found = [row for other in callers for row in handler(services, other, **arguments)]
        limit = arguments.get("query", {}).get("limit")
        return sorted(found, key=lambda row: row.id, reverse=True)[:limit]

    return around(ids, act)


def anyones(services: Services, caller: Caller, table: str, id: int) -> Row:
    """A row by its id, whoever owns it: to stand for `own` and `visible`."""
    row = services.store.get(table, id)
    if row is None:
        raise NotFound
    return row


def leaving(operation: str, leave: Act) -> Plant:
    """Have what is refused with 422 leave something: `leave(services, caller, sent, where)`."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        load, answer = Reader.load, BoundOperation.answer

        def loading(reader: Any, call: Any) -> Any:
            try:
                return load(reader, call)
            except Invalid:
                if reader.operation.id == operation:
                    account = authenticate(app.services, call.headers.get("Authorization"))
                    body = reader._wrapped(reader._read_body(call)).get(reader.operation.wrapper)
                    caller = Caller(account.id, f"http://{call.headers['Host']}")
                    leave(app.services, caller, body if isinstance(body, dict) else {}, call.path)
                raise

        def answering(bound: Any, services: Services, caller: Caller, request: Any) -> Any:
            try:
                return answer(bound, services, caller, request)
            except Invalid:
                if bound.operation.id == operation:
                    body = request.given["body"].get(bound.operation.wrapper)
                    leave(services, caller, body or {}, request.given)
                raise

        patch.setattr(Reader, "load", loading)
        patch.setattr(BoundOperation, "answer", answering)

    return plant


# -- objects and callbacks -------------------------------------------------------------------------
def shown(table: str, change: Change) -> Plant:
    """Alter how a tune or a prompt is shown in answers; not in callbacks."""

    def make(real: Act) -> Act:
        def present(services: Services, row: Row, origin: str) -> dict[str, Any]:
            found: dict[str, Any] = real(services, row, origin)
            change(found)
            return found

        return present

    return swap(answers.PRESENT, table, make)


def calling(act: Act) -> Plant:
    """Have callbacks sent by `act(send, row, url, body)`."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        callbacks = app.services.callbacks
        real = callbacks.send

        def send(row: Row, url: str, body: Any, after: Any = ()) -> None:
            act(lambda row, url, body: real(row, url, body, after=after), row, url, body)

        patch.setattr(callbacks, "send", send)

    return plant


def calling_at(change: Callable[[str, Row], str]) -> Plant:
    """Alter the address of callbacks."""
    return calling(lambda send, row, url, body: send(row, change(url, row), body))


# -- HTTP ------------------------------------------------------------------------------------------
def path_of(environ: Mapping[str, Any]) -> str:
    path: str = environ["PATH_INFO"].rstrip("/").removesuffix(".json")
    return path


def is_like(environ: Mapping[str, Any], pattern: str) -> bool:
    """Whether a request is of a pattern such as `GET /tunes/*`; a star stands for one step."""
    found, wanted = f"{environ['REQUEST_METHOD']} {path_of(environ)}".split("/"), pattern.split("/")
    return len(found) == len(wanted) and all(map(fnmatchcase, found, wanted))


def answered(pattern: str, act: Callable[[Response], object], *, status: int = 0) -> Plant:
    """Alter answers to requests of a pattern, or all of one status where it is `*`."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        serve = app.wsgi_app

        def served(environ: dict[str, Any], start_response: Any) -> Any:
            is_ours = environ["PATH_INFO"].startswith("/_emulator")
            fits = not is_ours if pattern == "*" else is_like(environ, pattern)
            if not fits:
                return serve(environ, start_response)
            response = Response.from_app(serve, environ)
            if response.status_code == status if status else response.status_code < 300:
                act(response)
            return response(environ, start_response)

        patch.setattr(app, "wsgi_app", served)

    return plant


def each(pattern: str, change: Change) -> Plant:
    """Alter every object of the JSON in answers to requests of a pattern."""

    def act(response: Response) -> None:
        found = json.loads(response.get_data())
        for item in found if isinstance(found, list) else [found]:
            change(item)
        response.set_data(json.dumps(found))

    return answered(pattern, act)


def written(status: int | None = None, body: Any = None, kind: str = "") -> Act:
    """An act for `answered` that gives an answer another status, body or content type."""

    def act(response: Response) -> None:
        if body is not None:
            response.set_data(body if isinstance(body, str) else json.dumps(body))
        response.status_code = status or response.status_code
        response.content_type = kind or response.content_type

    return act


def refusing(test: Callable[[Mapping[str, Any]], object], error: ApiError) -> Plant:
    """Refuse requests whose WSGI environment a test is true of."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        serve = app.wsgi_app

        def served(environ: dict[str, Any], start_response: Any) -> Any:
            refused = not environ["PATH_INFO"].startswith("/_emulator") and test(environ)
            return (error_response(error) if refused else serve)(environ, start_response)

        patch.setattr(app, "wsgi_app", served)

    return plant
