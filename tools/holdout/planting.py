"""Ways to plant a bug within an application; each gives a function for a row's `plant`.

What a way is given as `change` alters a dictionary in place.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest

from astria_emulator.api.operations import BoundOperation
from astria_emulator.app import Emulator
from astria_emulator.errors import Invalid, NotFound
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


def all_of(*plants: Plant) -> Plant:
    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        for one in plants:
            one(patch, app)

    return plant


# -- functions -------------------------------------------------------------------------------------
def replace_function(place: Any, name: str, make: Act) -> Plant:
    """Put `make(real)` in the place of a module's, class's or table's function."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        if isinstance(place, dict):
            patch.setitem(place, name, make(place[name]))
        else:
            patch.setattr(place, name, make(getattr(place, name)))

    return plant


def replace_value(place: Any, name: str, value: Any) -> Plant:
    return replace_function(place, name, lambda real: value)


def replace_method(part: str, name: str, make: Act) -> Plant:
    """Put `make(real)` in the place of a method of the application's own store or runner."""
    return lambda patch, app: replace_function(getattr(app.services, part), name, make)(patch, app)


def change_schema(path: str, **keywords: Any) -> Plant:
    """Change keywords of a component schema that has not been compiled: of a request's body."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        node: Any = app.services.contract.spec.document["components"]["schemas"]
        for step in path.split("."):
            node = node[step]
        for keyword, value in keywords.items():
            patch.setitem(node, keyword, value)

    return plant


def change_transition(
    kind: str, event: str, change: Callable[[dict[str, Any], Row], object]
) -> Plant:
    """Alter what an event of the life cycle writes: `change(changes, row)`."""

    def make(step: Act) -> Act:
        def taken(of: str, row: Row, what: str, now: Any) -> dict[str, Any]:
            changes: dict[str, Any] = step(of, row, what, now)
            if (of, what) == (kind, event):
                change(changes, row)
            return changes

        return taken

    return all_of(*(replace_function(at, "step", make) for at in (job_steps, training, tunes)))


# -- handlers --------------------------------------------------------------------------------------
def handle_by(ids: str, act: Act) -> Plant:
    """Have operations answered by `act(handler, services, caller, arguments)`."""

    def make(real: Act) -> Act:
        def answer(bound: Any, services: Services, caller: Caller, loaded: Any) -> Any:
            if bound.operation.id in ids.split():
                handler, bound = bound._handler, copy(bound)
                bound._handler = lambda s, c, **arguments: act(handler, s, c, arguments)
            return real(bound, services, caller, loaded)

        return answer

    return replace_function(BoundOperation, "answer", make)


def change_attributes(ids: str, change: Change) -> Plant:
    """Alter the attributes that a request sends."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        body = arguments["body"]
        wrapper = next((name for name in WRAPPERS if name in body), "prompt")
        attributes = dict(body.get(wrapper) or {})
        change(attributes)
        return handler(services, caller, **{**arguments, "body": {**body, wrapper: attributes}})

    return handle_by(ids, act)


def change_query(ids: str, change: Change) -> Plant:
    """Alter the parameters of a query that has been read."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        query = dict(arguments["query"])
        change(query)
        return handler(services, caller, **{**arguments, "query": query})

    return handle_by(ids, act)


def without(*names: str) -> Change:
    return lambda found: [found.pop(name, None) for name in names]


def ignore_query(ids: str, *names: str) -> Plant:
    return change_query(ids, without(*names))


def change_query_text(ids: str, change: Change) -> Plant:
    """Alter a query string's texts before they are read."""

    def make(real: Act) -> Act:
        def read(bound: Any, call: Any) -> Any:
            query = real(bound, call)
            if bound.operation.id in ids.split():
                change(query)
            return query

        return read

    return replace_function(Reader, "_sent_query", make)


def change_result(ids: str, change: Act) -> Plant:
    """Answer with `change(result)` of a handler's result."""
    return handle_by(ids, lambda handler, s, c, arguments: change(handler(s, c, **arguments)))


def change_caller(ids: str, change: Callable[[Caller], Caller]) -> Plant:
    """Have operations answered as if somebody else called."""
    return handle_by(ids, lambda handler, s, c, arguments: handler(s, change(c), **arguments))


def as_owner(ids: str, table: str, *, named: str = "id") -> Plant:
    """Let every key do with an object what only its owner may."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        row = services.store.get(table, arguments[named])
        owner = row.owner if row is not None and row.owner is not None else caller.account
        return handler(services, replace(caller, account=owner), **arguments)

    return handle_by(ids, act)


def list_all_accounts(ids: str) -> Plant:
    """Show lists of all accounts as one."""

    def act(handler: Act, services: Services, caller: Caller, arguments: dict[str, Any]) -> Any:
        users = services.store.find("user", Query(None))
        callers = [replace(caller, account=user.id) for user in users]
        found = [row for other in callers for row in handler(services, other, **arguments)]
        limit = arguments.get("query", {}).get("limit")
        return sorted(found, key=lambda row: row.id, reverse=True)[:limit]

    return handle_by(ids, act)


def row_of_any_account(services: Services, caller: Caller, table: str, id: int) -> Row:
    """A row by its id, whoever owns it: to stand for `own` and `visible`."""
    row = services.store.get(table, id)
    if row is None:
        raise NotFound
    return row


def act_after_refusal(operation: str, leave: Act) -> Plant:
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
