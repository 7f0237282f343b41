"""What is used of waitress without being documented: the installed version still has it, listed."""

import ast
import inspect
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import astria_emulator
from astria_emulator.server import waitress_names
from astria_emulator.server.waitress_names import (
    RELIED_ON,
    HTTPChannel,
    HTTPRequestParser,
    create_server,
)

ADVICE = "see server/waitress_names.py, and what http_server.py and channel.py do with it"
ROOT = Path(astria_emulator.__file__).parent
DOOR = waitress_names.__name__
ROWS = [(owner, name) for owner, names in RELIED_ON.items() for name in names]
LISTED = {name for _, name in ROWS}


def trees() -> dict[str, ast.Module]:
    """The modules of ours that import from the door."""
    found = {path.stem: ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}
    return {name: tree for name, tree in found.items() if imported(tree)}


def imported(tree: ast.Module) -> set[str]:
    """Names that a module takes from the door."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in nodes if node.module == DOOR for alias in node.names}


@pytest.fixture(scope="module")
def objects() -> Iterator[dict[Any, Any]]:
    """One live object of each owner: much is set by constructors only."""
    app = lambda environ, start_response: []  # noqa: E731
    server = create_server(app, map={}, host="127.0.0.1", port=0, threads=1)
    here, there = socket.socketpair()
    channel = HTTPChannel(server, here, ("127.0.0.1", 0), server.adj, map={})
    parser = HTTPRequestParser(server.adj)
    parser.received(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    wrong = HTTPRequestParser(server.adj)
    wrong.received(b"nonsense\r\n\r\n")
    live = [
        waitress_names.server,
        waitress_names.wasyncore,
        server,
        server.task_dispatcher,
        channel,
        server.adj,
        parser,
        parser.body_rcv,
        wrong.error,
        channel.task_class(channel, parser),
        channel.error_task_class(channel, wrong),
    ]
    yield {owner: next(one for one in live if is_of(one, owner)) for owner in RELIED_ON}
    channel.handle_close()
    there.close()
    server.task_dispatcher.shutdown()
    server.close()


def is_of(one: Any, owner: Any) -> bool:
    return one is owner or (isinstance(owner, type) and isinstance(one, owner))


@pytest.mark.parametrize(("owner", "name"), ROWS, ids=lambda of: getattr(of, "__name__", of))
def test_waitress_has_what_is_relied_on(owner: Any, name: str, objects: dict[Any, Any]) -> None:
    full = f"{owner.__name__}.{name}"
    assert hasattr(objects[owner], name), f"waitress no longer has {full}: {ADVICE}"
    expected = RELIED_ON[owner][name]
    found = getattr(owner, name, None)
    signature = str(inspect.signature(found)) if inspect.isfunction(found) else ""
    assert signature == expected, f"waitress has changed {full}: {ADVICE}"


def test_nothing_else_of_waitress_is_used(objects: dict[Any, Any]) -> None:
    """An attribute with the name of one that waitress' objects have is taken for it."""
    owners = objects.keys() - {waitress_names.Adjustments}  # the settings: documented, and many
    known = {name for one in owners for name in dir(objects[one]) if not is_special(name)}
    for module, tree in trees().items():
        strangers = (used(tree) & known) - LISTED
        assert strangers == set(), f"{module}.py uses names of waitress that are not in {DOOR}"


def test_everything_that_is_listed_is_used() -> None:
    found = set().union(*(used(tree) | imported(tree) for tree in trees().values()))
    assert LISTED - found == set(), f"{DOOR} lists names that nobody uses"


def test_everything_that_is_imported_is_used() -> None:
    taken = set().union(*(imported(tree) for tree in trees().values()))
    assert taken | {"RELIED_ON"} == set(waitress_names.__all__)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("server._map", {"_map"}),
        ("server.run = None", {"run"}),
        ("time.time()", set()),
        ("class Ours(HTTPChannel):\n    sent_continue = True\n    def cancel(self): ...",
         {"sent_continue", "cancel"}),
        ("class Ours(HTTPChannel):\n    def __init__(self): ...", {"__init__"}),
        ("class Ours:\n    def run(self): ...", set()),
    ],
)  # fmt: skip
def test_use_of_a_name_is_seen(code: str, names: set[str]) -> None:
    tree = ast.parse(f"import time\nfrom {DOOR} import HTTPChannel\n{code}")
    assert used(tree) == names


def used(tree: ast.Module) -> set[str]:
    """Names of attributes that a module reads, sets or, in a class of waitress', overrides.

    But those of a module of the standard library.
    """
    nodes = [*ast.walk(tree)]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in modules
    }
    for node in nodes:
        if isinstance(node, ast.ClassDef) and imported(tree) & {ast.unparse(b) for b in node.bases}:
            found |= {name for statement in node.body for name in defined(statement)}
    return found


def defined(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [name.id for target in targets for name in ast.walk(target)
                    if isinstance(name, ast.Name)]  # fmt: skip
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
