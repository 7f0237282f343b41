"""What the suite's modules import: nothing of the emulator, and each other in one direction."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import astria_contracts

# A module imports of its own room and of the rooms to the left, never back. A room is a folder, or
# a module beside them.
ORDER = (
    *("options", "spec", "client", "report", "witnesses"),
    *("plugin", "conftest", "properties", "__main__"),
)
OTHERS = {
    *("click", "hypothesis", "jinja2", "jsonschema_rs"),
    *("pytest", "requests", "schemathesis", "yaml"),
}
ROOT = Path(astria_contracts.__file__).parent
PREFIX = "astria_contracts."
# Each module by its name in the package (`plugin`, `client.api`), as a syntax tree.
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(ROOT.rglob("*.py"))
    if path.parent != ROOT or path.stem != "__init__"
}


def imported(module: str) -> set[str]:
    """Full names that a module imports, also within its functions."""
    nodes = list(ast.walk(SOURCES[module]))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):  # a package's module, or a module's names
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def own(module: str) -> set[str]:
    """The suite's modules that a module imports."""
    found = {name.removeprefix(PREFIX) for name in imported(module) if name.startswith(PREFIX)}
    return (found & SOURCES.keys()) - {module}


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_module_is_in_a_room_of_the_order():
    assert {room(module) for module in SOURCES} == set(ORDER)


@pytest.mark.parametrize("module", SOURCES)
def test_module_imports_nothing_of_the_emulator_and_no_strangers(module):
    packages = {name.partition(".")[0] for name in imported(module)}
    assert packages <= {*sys.stdlib_module_names, "astria_contracts", *OTHERS}


@pytest.mark.parametrize("module", SOURCES)
def test_module_imports_nothing_of_the_rooms_to_the_right(module):
    allowed = ORDER[: ORDER.index(room(module)) + 1]
    assert {other for other in own(module) if room(other) not in allowed} == set()


def test_imports_do_not_go_round_in_a_circle():
    TopologicalSorter({module: own(module) for module in SOURCES}).prepare()


def test_properties_need_nothing_of_how_they_are_reported():
    for module in SOURCES:
        if room(module) == "properties":
            assert {room(other) for other in own(module)} & {"report", "plugin"} == set()


def test_plugin_is_light_until_the_suite_is_run():
    """Every pytest of an environment loads it."""
    script = "import astria_contracts.plugin, sys; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"hypothesis", "requests", "schemathesis", "jsonschema_rs", "yaml"} == set()
