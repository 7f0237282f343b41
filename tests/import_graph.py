"""What the modules of a package import, read from their source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def imports(tree: ast.AST, *, inside_functions: bool, for_types: bool) -> Iterator[str]:
    """Full names that are imported when a module is, or also when its functions are called.

    for_types: count what is imported for type checkers only, too.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(node, inside_functions=inside_functions, for_types=for_types)


def room(module: str) -> str:
    """The folder of a module, or a module beside the folders."""
    return module.partition(".")[0]


class ImportGraph:
    """The modules of a package, by their names in it: `plugin`, `client.api`.

    A folder's own name is that of its `__init__.py`; the package's is `__init__`.
    for_types: count what is imported for type checkers only, too.
    """

    def __init__(self, package: ModuleType, *, for_types: bool = False):
        assert package.__file__
        self._for_types = for_types
        self.name = package.__name__
        self.root = Path(package.__file__).parent
        self.sources = {
            ".".join(path.relative_to(self.root).with_suffix("").parts).removesuffix(
                ".__init__"
            ): ast.parse(path.read_text())
            for path in sorted(self.root.rglob("*.py"))
        }

    def imports(self, module: str, *, inside_functions: bool) -> set[str]:
        """Full names that a module imports."""
        tree = self.sources[module]
        return set(imports(tree, inside_functions=inside_functions, for_types=self._for_types))

    def packages(self, module: str, *, inside_functions: bool) -> set[str]:
        """The packages that a module imports."""
        names = self.imports(module, inside_functions=inside_functions)
        return {name.partition(".")[0] for name in names}

    def own_modules(self, module: str, *, inside_functions: bool) -> set[str]:
        """The package's modules that a module imports, itself left out."""
        found = set()
        for name in self.imports(module, inside_functions=inside_functions):
            if name.startswith(f"{self.name}."):
                steps = name.split(".")[1:]
                ends = (".".join(steps[:end]) for end in range(len(steps), 0, -1))
                found.add(next((end for end in ends if end in self.sources), "__init__"))
        return found - {module}
