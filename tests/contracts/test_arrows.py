"""What the suite's modules import: nothing of the emulator, and each other in one direction."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import astria_contracts

ROOT = Path(astria_contracts.__file__).parent
SOURCES = {path.stem: ast.parse(path.read_text()) for path in sorted(ROOT.glob("*.py"))}
OTHERS = {
    *("click", "hypothesis", "jinja2", "jsonschema_rs"),
    *("pytest", "requests", "schemathesis", "yaml"),
}


def imported(module: str, *, at_once: bool = False) -> set[str]:
    """Full names that a module imports; `at_once` leaves out what its functions import."""
    body = SOURCES[module].body if at_once else list(ast.walk(SOURCES[module]))
    names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in body if isinstance(node, ast.ImportFrom)}


def own(module: str) -> set[str]:
    found = {name.removeprefix("astria_contracts.") for name in imported(module, at_once=True)}
    return (found & SOURCES.keys()) - {module}


@pytest.mark.parametrize("module", SOURCES)
def test_module_imports_nothing_of_the_emulator_and_no_strangers(module):
    packages = {name.partition(".")[0] for name in imported(module)}
    assert packages <= {*sys.stdlib_module_names, "astria_contracts", *OTHERS}


def test_imports_do_not_go_round_in_a_circle():
    order = list(TopologicalSorter({module: own(module) for module in SOURCES}).static_order())
    assert order.index("document") < order.index("checks") < order.index("api")


def test_properties_need_nothing_of_how_they_are_reported():
    for module in SOURCES:
        if module.startswith("test_"):
            assert own(module) & {"report", "page", "terminal", "compare", "plugin"} == set()


def test_plugin_is_light_until_the_suite_is_run():
    """Every pytest of an environment loads it."""
    script = "import astria_contracts.plugin, sys; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"hypothesis", "requests", "schemathesis", "jsonschema_rs", "yaml"} == set()
