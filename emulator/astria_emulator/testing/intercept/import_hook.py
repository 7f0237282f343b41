"""Call a function when a library has been imported."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Watcher:
    """A finder (PEP 451) that lets the other finders find, and wraps their loaders."""

    def __init__(self, names: Collection[str], notify: Callable[[str], None]):
        self._names, self._notify = names, notify

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._names:
            return None
        others = (finder for finder in [*sys.meta_path] if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec and spec.loader:
            spec.loader = NotifyingLoader(spec.loader, self._notify)
        return spec


class NotifyingLoader(Loader):
    """Loads a module by another loader, makes that one the module's loader, and notifies."""

    def __init__(self, loader: Loader, notify: Callable[[str], None]):
        self._loader, self._notify = loader, notify

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec: Any = module.__spec__
        module.__loader__ = spec.loader = self._loader
        self._loader.exec_module(module)
        self._notify(module.__name__)


@contextmanager
def watching(names: Collection[str], notify: Callable[[str], None]) -> Iterator[None]:
    """Notify of each of these libraries that is imported until the end of the block."""
    watcher: Any = Watcher(names, notify)
    sys.meta_path.insert(0, watcher)
    try:
        yield
    finally:
        sys.meta_path.remove(watcher)
