"""The rooms of the real backend: arrows one way, and a server's side that never loads torch."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import astria_emulator
import astria_real_backend

ROOT = Path(astria_real_backend.__file__).parent
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
        path.read_text()
    )
    for path in sorted(ROOT.rglob("*.py"))
}
# What runs in the server's process. All else runs in those that train, and may load torch.
SERVER_SIDE = {
    "__init__", "__main__", "backend", "commands", "config", "workers.executor", "workers.local",
    "training", "training.branches",
    *(name for name in SOURCES if name.partition(".")[0] == "server_side"),
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


def imports(tree: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Full names that are imported when the module is, or also when its functions are called."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
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


def place_of(module: str) -> int:
    """Where a module stands in ORDER; -1 for the package itself."""
    room = module.partition(".")[0]
    for name in (module, room):
        if found := [place for place, names in enumerate(ORDER) if name in names]:
            return found[0]
    return -1


@pytest.mark.parametrize("module", sorted(SERVER_SIDE))
def test_server_side_is_light(module: str) -> None:
    assert packages(module, inside_functions=False) <= LIGHT


def test_every_module_has_its_place() -> None:
    assert [name for name in SOURCES if name != "__init__" and place_of(name) < 0] == []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_module_needs_those_before_it_only(module: str) -> None:
    for name in imports(SOURCES[module], inside_functions=False):
        _, _, own = name.partition("astria_real_backend.")
        if own and own.partition(".")[0] != module.partition(".")[0]:
            assert place_of(own) < place_of(module), f"{module} needs {own}"


def test_server_side_and_training_do_not_know_each_other() -> None:
    for module in SOURCES:
        for room, other in (("server_side", "training"), ("training", "server_side")):
            if module.partition(".")[0] == room:
                needed = imports(SOURCES[module], inside_functions=True)
                assert not [n for n in needed if n.startswith(f"astria_real_backend.{other}")]


def test_only_what_the_emulator_exports_is_taken_from_it() -> None:
    for module in SOURCES:
        for name in imports(SOURCES[module], inside_functions=True):
            package, _, rest = name.partition(".")
            if package == "astria_emulator":
                assert rest in astria_emulator.__all__, f"{module} takes {name}"


def test_families_are_known_to_branches_only() -> None:
    """Of the modules that train, those of branches/ alone import diffusers or name a family."""
    for module in SOURCES:
        if not module.startswith("training.branches"):
            assert "diffusers" not in packages(module, inside_functions=True), module
            names = {node.id for node in ast.walk(SOURCES[module]) if isinstance(node, ast.Name)}
            assert "StableDiffusion15" not in names, module
            for name in imports(SOURCES[module], inside_functions=True):
                is_family = name.startswith("astria_real_backend.training.branches.sd15")
                assert not is_family or module == "toys.make", f"{module} needs {name}"
