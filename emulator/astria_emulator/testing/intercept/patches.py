"""Choose the emulator that answers a call, and patch the libraries that make calls.

The patches are installed when the first mock is entered, and removed when the last one is left,
whatever the order of leaving.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec

from astria_emulator.errors import SetupError
from astria_emulator.testing.intercept.guard import guarded
from astria_emulator.testing.intercept.handle import Astria
from astria_emulator.testing.intercept.import_hook import watching

Find = Callable[[str], Astria | None]
NEEDS = "neither requests with responses, nor httpx with respx, is installed: " + (
    "pip install 'astria-emulator[testing]'"
)

# Intercepted library -> package that this needs, and our module.
DOORS = {
    "requests": ("responses", "requests_door"),
    "httpx": ("respx", "httpx_door"),
    "httpx2": ("respx", "httpx2_door"),
    "aiohttp": ("aiohttp", "aiohttp_door"),
}

_lock = threading.RLock()
_active: list[Astria] = []
_installed = ExitStack()
_entered: ContextVar[tuple[Astria, ...]] = ContextVar("astria", default=())  # innermost last


@contextmanager
def intercepted(handle: Astria, *, refuses_others: bool) -> Iterator[None]:
    """Send this process's calls to an emulator while the block is open.

    Calls of the thread or task that entered go to this emulator. Calls of threads and tasks that
    have entered none go to the one that was entered last.
    Raises SetupError where no supported library is installed.
    """
    with _lock:
        if not _active:
            _install()
        _active.append(handle)
        guarded.add(handle.host, refuses_others=refuses_others)
    _entered.set((*_entered.get(), handle))
    try:
        yield
    finally:
        _entered.set(tuple(other for other in _entered.get() if other is not handle))
        with _lock:
            _active.remove(handle)
            guarded.remove(handle.host, refuses_others=refuses_others)
            if not _active:
                _installed.close()


def find(url: str) -> Astria | None:
    """Return the emulator that answers calls to an address; None where none does."""
    with _lock:
        entered = [handle for handle in _entered.get() if handle in _active]
        candidates = [*_active, *entered]
    return next((handle for handle in reversed(candidates) if handle.serves(url)), None)


def _install() -> None:
    """Patch the libraries that are imported, and the others once they are imported.

    Raises SetupError.
    """
    ready = {
        library: door for library, (needed, door) in DOORS.items() if _is_found(library, needed)
    }
    if not ready.keys() & {"requests", "httpx"}:
        raise SetupError("mock_astria", [NEEDS])

    def open_door(library: str) -> None:
        door = import_module(f"astria_emulator.testing.intercept.{ready.pop(library)}")
        _installed.enter_context(door.opened(find))

    def open_late(library: str) -> None:
        # Otherwise the next mock finds the library imported; waiting for the lock could deadlock.
        if _active:
            with _lock:
                if _active and library in ready:
                    open_door(library)

    with ExitStack() as on_error:
        on_error.callback(_installed.close)
        _installed.enter_context(guarded.installed())
        for library in ready.keys() & sys.modules.keys():
            open_door(library)
        _installed.enter_context(watching(ready.keys(), open_late))
        on_error.pop_all()


def _is_found(*packages: str) -> bool:
    return all(find_spec(package) for package in packages)
