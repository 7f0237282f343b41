"""Being told when a library has been imported."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Watcher:
    """A finder (PEP 451) that leaves finding to the others."""

    def __init__(self, names: Collection[str], tell: Callable[[str], None]):
        self._names, self._tell = names, tell

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._names:
            return None
        others = (finder for finder in [*sys.meta_path] if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec and spec.loader:
            spec.loader = Telling(spec.loader, self._tell)
        return spec


class Telling(Loader):
    """Loads by another loader, which is then the module's, and tells of it."""

    def __init__(self, loader: Loader, tell: Callable[[str], None]):
        self._loader, self._tell = loader, tell

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec: Any = module.__spec__
        module.__loader__ = spec.loader = self._loader
        self._loader.exec_module(module)
        self._tell(module.__name__)


@contextmanager
def watching(names: Collection[str], tell: Callable[[str], None]) -> Iterator[None]:
    """Tell of each library that is imported until the end of the block."""
    watcher: Any = Watcher(names, tell)
    sys.meta_path.insert(0, watcher)
    try:
        yield
    finally:
        sys.meta_path.remove(watcher)
