"""The rooms of the real backend: arrows one way, and a server's side that never loads torch."""

import ast
import sys

import pytest

import astria_emulator
import astria_real_backend
from tests.import_graph import ImportGraph, room

GRAPH = ImportGraph(astria_real_backend)
SOURCES = GRAPH.sources
# What runs in the server's process. All else runs in those that train, and may load torch.
SERVER_SIDE = {
    "__init__", "__main__", "backend", "commands", "config", "workers.executor", "workers.local",
    "training", "training.branches",
    *(name for name in SOURCES if room(name) == "server_side"),
}  # fmt: skip
LIGHT = {"click", "astria_emulator", "astria_real_backend", *sys.stdlib_module_names}
# Left to right: a room or module needs those before it only.
ORDER = (
    {"config", "toys.draw"},
    {"server_side", "training"},
    {"commands", "shell", "workers"},
    {"backend", "toys"},
    {"__main__"},
)


def place_of(module: str) -> int:
    """Where a module stands in ORDER; -1 for the package itself."""
    for name in (module, room(module)):
        if found := [place for place, names in enumerate(ORDER) if name in names]:
            return found[0]
    return -1


@pytest.mark.parametrize("module", sorted(SERVER_SIDE))
def test_server_side_is_light(module: str) -> None:
    assert GRAPH.packages(module, inside_functions=False) <= LIGHT


def test_every_module_has_its_place() -> None:
    assert [name for name in SOURCES if name != "__init__" and place_of(name) < 0] == []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_module_needs_those_before_it_only(module: str) -> None:
    for name in GRAPH.imports(module, inside_functions=False):
        _, _, own = name.partition("astria_real_backend.")
        if own and room(own) != room(module):
            assert place_of(own) < place_of(module), f"{module} needs {own}"


def test_server_side_and_training_do_not_know_each_other() -> None:
    for module in SOURCES:
        for one, other in (("server_side", "training"), ("training", "server_side")):
            if room(module) == one:
                needed = GRAPH.imports(module, inside_functions=True)
                assert not [n for n in needed if n.startswith(f"astria_real_backend.{other}")]


def test_only_what_the_emulator_exports_is_taken_from_it() -> None:
    for module in SOURCES:
        for name in GRAPH.imports(module, inside_functions=True):
            package, _, rest = name.partition(".")
            if package == "astria_emulator":
                assert rest in astria_emulator.__all__, f"{module} takes {name}"


def test_families_are_known_to_branches_only() -> None:
    """Of the modules that train, those of branches/ alone import diffusers or name a family."""
    for module in SOURCES:
        if not module.startswith("training.branches"):
            assert "diffusers" not in GRAPH.packages(module, inside_functions=True), module
            names = {node.id for node in ast.walk(SOURCES[module]) if isinstance(node, ast.Name)}
            assert "StableDiffusion15" not in names, module
            for name in GRAPH.imports(module, inside_functions=True):
                is_family = name.startswith("astria_real_backend.training.branches.sd15")
                assert not is_family or module == "toys.make", f"{module} needs {name}"
