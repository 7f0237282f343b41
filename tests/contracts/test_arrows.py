"""What the suite's modules import: nothing of the emulator, and each other in one direction."""

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

import astria_contracts
from tests.import_graph import ImportGraph, room

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
GRAPH = ImportGraph(astria_contracts, for_types=True)
SOURCES = GRAPH.sources.keys() - {"__init__"}


def own(module: str) -> set[str]:
    """The suite's modules that a module imports, also within its functions."""
    return GRAPH.own_modules(module, inside_functions=True) - {"__init__"}


def test_every_module_is_in_a_room_of_the_order():
    assert {room(module) for module in SOURCES} == set(ORDER)


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_module_imports_nothing_of_the_emulator_and_no_strangers(module):
    packages = GRAPH.packages(module, inside_functions=True)
    assert packages <= {*sys.stdlib_module_names, "astria_contracts", *OTHERS}


@pytest.mark.parametrize("module", sorted(SOURCES))
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
