"""marshmallow is used by its public names, and by the two methods that a field of one's own has."""

import ast
from collections.abc import Iterator
from pathlib import Path

import marshmallow
import pytest

import astria_emulator

ROOT = Path(astria_emulator.__file__).parent
# What a class of one's own overrides (marshmallow.readthedocs.io/en/stable/custom_fields.html).
DOCUMENTED = frozenset({"_serialize", "_deserialize"})


def named(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Names of methods and attributes, each with what it is taken from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr, ast.unparse(node.value)
        elif isinstance(node, ast.FunctionDef):
            yield node.name, "def"


PRIVATE = {
    name
    for path in Path(marshmallow.__file__).parent.glob("*.py")
    for name, _ in named(ast.parse(path.read_text()))
    if name.startswith("_") and not name.startswith("__")
}


def private_uses(tree: ast.AST) -> set[str]:
    """Private names of marshmallow's in a module."""
    found = {(name, of) for name, of in named(tree) if of not in ("self", "def")}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            if any(base.startswith(("fields.", "Schema")) for base in bases):
                found |= set(named(node))
    allowed = {(name, of) for name in DOCUMENTED for of in ("def", "super()")}
    return {f"{of}.{name}" for name, of in found - allowed if name in PRIVATE}


def test_names_are_those_of_marshmallow() -> None:
    assert {"_serialize", "_deserialize", "_do_load", "_init_fields", "_bind_field"} <= PRIVATE


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.stem)
def test_no_private_name_of_marshmallow_is_used(path: Path) -> None:
    assert private_uses(ast.parse(path.read_text())) == set()


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("field._deserialize(1, None, None)", {"field._deserialize"}),
        ("schema.fields['a']._validate(1)", {"schema.fields['a']._validate"}),
        ("class It(Schema):\n  def _do_load(self): ...", {"def._do_load"}),
        ("class It(fields.Field):\n  def f(self): return self._validate", {"self._validate"}),
        ("class It(fields.Field):\n  def _serialize(self): super()._serialize()", set()),
        ("class Other:\n  def _load(self): self._schema", set()),
    ],
)
def test_private_name_is_noticed(code: str, used: set[str]) -> None:
    assert private_uses(ast.parse(code)) == used
