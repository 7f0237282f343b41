"""Who may import what: one door per dependency, arrows one way, and a light `import emulator`."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import astria_emulator

ROOT = Path(astria_emulator.__file__).parent
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(ROOT.rglob("*.py"))
}
# A package, and the modules that may import it.
DOORS = {
    "flask": {"app", "surface", "web"},
    "marshmallow": {"schemas", "fields", "operations", "shortcuts"},
    "yaml": {"documents"},
    "werkzeug": {
        "app", "bodies", "faults.answering", "intercept.exchange", "media", "surface", "web",
    },
    "waitress": {"channel", "server"},
    "click": {"__main__", "check_client.command", "command_line", "wrapping"},
    "jinja2": {"check_client.report"},
    "cryptography": {"certificates"},
    "sqlalchemy": {"sql.database", "sql.statements", "sql.tables", "sql.work"},
    "PIL": {
        "drawing.__init__", "drawing.caption", "drawing.palette", "drawing.scene",
        "drawing.text",
    },
    "requests": {"examples.careful", "examples.careless", "intercept.requests_door"},
    "responses": {"intercept.requests_door"},
    "urllib3": {"intercept.requests_door"},
    "httpx": {"intercept.httpx_door", "intercept.receivers"},
    "httpcore": {"intercept.httpx_door"},
    "httpcore2": {"intercept.httpx2_door"},
    "respx": {"intercept.httpx_door", "intercept.httpx2_door"},
    "aiohttp": {"intercept.aiohttp_door"},
    "yarl": {"intercept.aiohttp_door"},
    "pytest": {"pytest_plugin"},
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


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(tree: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Full names that are imported when the module is, or also when its functions are called."""
    for node in ast.iter_child_nodes(tree):
        if is_for_types_only(node):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(node, inside_functions=inside_functions)


def packages(module: str, *, inside_functions: bool) -> set[str]:
    names = imports(SOURCES[module], inside_functions=inside_functions)
    return {name.partition(".")[0] for name in names}


def own_modules(module: str) -> set[str]:
    """The modules of ours that a module needs to be imported."""
    found = set()
    for name in imports(SOURCES[module], inside_functions=False):
        if name.startswith("astria_emulator."):
            steps = name.split(".")[1:]
            ends = [".".join(steps[:end]) for end in range(len(steps), 0, -1)]
            found |= {
                next(full for end in ends for full in (end, f"{end}.__init__") if full in SOURCES)
            }
    return found - {module}


@pytest.mark.parametrize("package", DOORS)
def test_package_is_imported_at_its_doors_only(package: str) -> None:
    importers = {module for module in SOURCES if package in packages(module, inside_functions=True)}
    assert importers == DOORS[package]


@pytest.mark.parametrize("package", sorted(LAZY))
def test_package_is_imported_within_functions_only(package: str) -> None:
    at_once = {module for module in SOURCES if package in packages(module, inside_functions=False)}
    assert at_once == set()


def test_nothing_else_is_imported() -> None:
    known = {*sys.stdlib_module_names, "astria_emulator", *DOORS}
    found = {
        module: strangers
        for module in SOURCES
        if (strangers := packages(module, inside_functions=True) - known)
    }
    assert found == {}


def test_imports_do_not_go_round_in_a_circle() -> None:
    graph = {module: own_modules(module) for module in SOURCES}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("errors") < order.index("spec") < order.index("app")


# Right of a module stand those that it may not need: the arrows point one way.
@pytest.mark.parametrize(
    ("layer", "above"),
    [
        ({"errors", "clock", "config", "prompt_text"}, {"spec", "forms", "schemas", "store"}),
        ({"spec", "forms", "schemas"}, {"store", "lifecycle", "files", "services", "app"}),
        ({"lifecycle", "store", "files", "outbound", "backend"}, {"callbacks", "runner", "mock"}),
        ({"faults.rules", "outbox"}, {"callbacks", "runner", "services"}),
        ({"mock", "callbacks", "runner"}, {"services", "jobs", "operations", "app"}),
        ({"services", "jobs"}, {"operations", "app", "control", "__main__"}),
        ({"state", "snapshots"}, {"services", "archive", "seed_data"}),
        ({"operations", "journal"}, {"app", "control", "faults.reading", "__main__"}),
        ({"archive"}, {"operations", "seed_data", "control", "app", "__main__"}),
        ({"seed_data"}, {"control", "surface", "app", "__main__"}),
        ({"faults.reading", "faults.answering"}, {"app", "control", "__main__"}),
        ({"app", "running", "control", "__main__"}, {"intercept.handle", "intercept.mock"}),
        ({"intercept.exchange", "intercept.receivers"}, {"intercept.handle", "app"}),
        ({"intercept.handle", "intercept.guard"}, {"intercept.patches"}),
        ({"intercept.patches"}, {"intercept.mock", "pytest_plugin"}),
        ({"app", "running", "control"}, {"command_line", "wrapping", "check_client.plays"}),
        ({"check_client.plays"}, {"app", "running", "check_client.repeating"}),
        ({"check_client.repeating", "check_client.hearing"}, {"check_client.grading"}),
        ({"check_client.grading"}, {"app", "check_client.playing", "check_client.report"}),
        ({"check_client.playing", "check_client.terminal"}, {"check_client.command", "wrapping"}),
    ],
)  # fmt: skip
def test_module_needs_nothing_that_stands_above_it(layer: set[str], above: set[str]) -> None:
    for module in layer:
        needed, more = set(), {module}
        while more:
            needed |= more
            more = {name for found in more for name in own_modules(found)} - needed
        assert needed & above == set(), module


@pytest.mark.parametrize("example", ["examples.careful", "examples.careless"])
def test_example_needs_nothing_of_ours(example: str) -> None:
    assert packages(example, inside_functions=True) <= {"requests", *sys.stdlib_module_names}


def test_handlers_know_no_http() -> None:
    for module in SOURCES:
        if module.startswith("handlers."):
            found = packages(module, inside_functions=True)
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
    assert {
        name for name in astria_emulator.__all__ if getattr(astria_emulator, name).__name__ != name
    } == set()
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = astria_emulator.nothing


# -- the real backend ------------------------------------------------------------------------------
REAL = ROOT.parents[1] / "real_backend" / "astria_real_backend"
# What runs in the server's process. All else runs in those that train, and may load torch.
SERVER_SIDE = {
    "__init__", "__main__", "backend", "catalog", "commands", "config", "places", "requests_of",
    "settings", "speeds", "workers.__init__", "workers.executor", "workers.local",
}  # fmt: skip
LOADED = {"click", "astria_emulator", "astria_real_backend", *sys.stdlib_module_names}
# Left to right: a module needs those before it only.
REAL_ORDER = (
    ("config", "catalog", "settings", "speeds", "places", "faces"),
    ("workers.executor",),
    ("objectives", "photos", "single_file", "branches.sd15", "schedulers", "workers.local"),
    ("adapters", "data", "checkpoint"),
    ("train", "export"),
    ("sample", "requests_of"),
    ("classes", "backend"),
    ("tuning",),
    ("workers.work", "shell", "commands"),
    ("workers.child", "__main__"),
)


def real_imports(module: str, *, inside_functions: bool) -> set[str]:
    path = REAL / f"{module.replace('.', '/')}.py"
    return set(imports(ast.parse(path.read_text()), inside_functions=inside_functions))


@pytest.mark.parametrize("module", sorted(SERVER_SIDE))
def test_server_side_of_the_real_backend_is_light(module: str) -> None:
    at_once = {name.partition(".")[0] for name in real_imports(module, inside_functions=False)}
    assert at_once <= LOADED


def test_modules_of_the_real_backend_need_those_before_them_only() -> None:
    places = {name: place for place, names in enumerate(REAL_ORDER) for name in names}
    found = {".".join(path.relative_to(REAL).with_suffix("").parts) for path in REAL.rglob("*.py")}
    known = {name for name in found if not name.startswith("tiny") and "__init__" not in name}
    assert known == set(places)
    for module in known:
        for name in real_imports(module, inside_functions=False):
            _, _, own = name.partition("astria_real_backend.")
            needed = next((p for p in (own, own.rpartition(".")[0]) if p in places), None)
            if needed:
                assert places[needed] < places[module], f"{module} needs {needed}"
