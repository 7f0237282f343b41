"""Who may import what: one door per dependency, arrows one way, and a light import."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

import astria_emulator
from tests.import_graph import ImportGraph, room

GRAPH = ImportGraph(astria_emulator)
ROOT, SOURCES = GRAPH.root, GRAPH.sources
# The rooms, left to right: a module imports from its own room and from those left of it.
ORDER = (
    "errors", "clock", "backend", "storage", "spec", "domain", "request", "config", "mock",
    "faults", "outbound", "services", "objects", "work", "api", "assembly", "control", "app",
    "server", "testing", "__main__",
)  # fmt: skip
APART = {"__init__", "examples"}  # the names for users; programs that use nothing of ours
# A package, and the modules that may import it.
DOORS = {
    "flask": {"api.views", "api.web", "app", "control.routes"},
    "marshmallow": {
        "request.reading", "spec.exact", "spec.fast_path", "spec.fields", "spec.loading",
        "spec.schemas",
    },
    "yaml": {"spec.yaml_files"},
    "werkzeug": {
        "api.downloads", "api.views", "api.web", "app", "control.routes", "faults.answering",
        "request.bodies", "testing.intercept.exchange",
    },
    "waitress": {"server.waitress_names"},
    "click": {"__main__", "server.command_line", "testing.check_client.command", "testing.exec"},
    "jinja2": {"testing.check_client.report"},
    "cryptography": {"server.certificates"},
    "sqlalchemy": {
        "storage.sql.postgres", "storage.sql.session", "storage.sql.sqlite",
        "storage.sql.statements", "storage.sql.tables", "storage.sql.work",
    },
    "PIL": {
        "mock.drawing", "mock.drawing.caption", "mock.drawing.palette", "mock.drawing.scene",
        "mock.drawing.text",
    },
    "requests": {"examples.careful", "examples.careless", "testing.intercept.requests_door"},
    "responses": {"testing.intercept.requests_door"},
    "urllib3": {"testing.intercept.requests_door"},
    "httpx": {"testing.intercept.httpx_door", "testing.intercept.receivers"},
    "httpcore": {"testing.intercept.httpx_door"},
    "httpcore2": {"testing.intercept.httpx2_door"},
    "respx": {"testing.intercept.httpx2_door", "testing.intercept.httpx_door"},
    "aiohttp": {"testing.intercept.aiohttp_door"},
    "yarl": {"testing.intercept.aiohttp_door"},
    "pytest": {"testing.pytest_plugin"},
}  # fmt: skip
LAZY = {"PIL"}  # imported within functions only
HEAVY = (
    "flask",
    "marshmallow",
    "yaml",
    "werkzeug",
    "waitress",
    "click",
    "jinja2",
    "PIL",
    "sqlalchemy",
    "cryptography",
    "requests",
    "urllib3",
    "httpx",
    "httpcore",
    "aiohttp",
    "responses",
    "respx",
    "pytest",
)


def importers(package: str, *, inside_functions: bool) -> set[str]:
    return {
        module
        for module in SOURCES
        if package in GRAPH.packages(module, inside_functions=inside_functions)
    }


@pytest.mark.parametrize("package", DOORS)
def test_package_is_imported_at_its_doors_only(package: str) -> None:
    assert importers(package, inside_functions=True) == DOORS[package]


@pytest.mark.parametrize("package", sorted(LAZY))
def test_package_is_imported_within_functions_only(package: str) -> None:
    assert importers(package, inside_functions=False) == set()


def test_nothing_else_is_imported() -> None:
    known = {*sys.stdlib_module_names, "astria_emulator", *DOORS}
    found = {
        module: strangers
        for module in SOURCES
        if (strangers := GRAPH.packages(module, inside_functions=True) - known)
    }
    assert found == {}


def test_imports_do_not_go_round_in_a_circle() -> None:
    needed = {module: GRAPH.own_modules(module, inside_functions=False) for module in SOURCES}
    TopologicalSorter(needed).prepare()


def test_every_module_is_in_a_room() -> None:
    assert {room(module) for module in SOURCES} == {*ORDER, *APART}


@pytest.mark.parametrize("name", ORDER)
def test_room_imports_from_those_left_of_it_only(name: str) -> None:
    """Also within functions: an import that is put off is an arrow, too."""
    left = {*ORDER[: ORDER.index(name) + 1]}
    arrows = {
        f"{module} -> {needed}"
        for module in SOURCES
        if room(module) == name
        for needed in GRAPH.own_modules(module, inside_functions=True)
        if room(needed) not in left
    }
    assert arrows == set()


@pytest.mark.parametrize(
    "folder", sorted({str(path.parent.relative_to(ROOT)) for path in ROOT.rglob("*.py")})
)
def test_room_says_its_purpose_in_a_sentence(folder: str) -> None:
    tree = ast.parse((ROOT / folder / "__init__.py").read_text())
    sentence = (ast.get_docstring(tree) or "").partition("\n")[0]
    assert sentence.endswith(".")


def test_no_module_is_long() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {name: count for name, count in lines.items() if count > 300} == {}


@pytest.mark.parametrize("example", ["examples.careful", "examples.careless"])
def test_example_needs_nothing_of_ours(example: str) -> None:
    assert GRAPH.packages(example, inside_functions=True) <= {"requests", *sys.stdlib_module_names}


def test_handlers_know_no_http() -> None:
    for module in SOURCES:
        if module.startswith("api.handlers."):
            found = GRAPH.packages(module, inside_functions=True)
            assert found & {"flask", "werkzeug", "http", "waitress"} == set()


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT.parent, capture_output=True, check=True, text=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "code",
    [
        "import astria_emulator",
        "from astria_emulator import Config; Config()",
        "from astria_emulator import Backend",
    ],
)
def test_import_is_light(code: str) -> None:
    assert loaded_after(code) & set(HEAVY) == set()


def test_application_starts_without_pillow() -> None:
    loaded = loaded_after(
        "from astria_emulator import Config, create_app; create_app(Config()).close()"
    )
    assert "flask" in loaded
    assert loaded & {"PIL", "torch", "requests", "sqlalchemy", "hypothesis", "pytest"} == set()


def test_public_names_are_what_they_say() -> None:
    for name in astria_emulator.__all__:
        value = getattr(astria_emulator, name)
        # A command has a name, and no __name__.
        assert (getattr(value, "__name__", None) or value.name) == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = astria_emulator.nothing
