"""Which emulator answers a call, and the patches that lead calls to it.

They are put in when the first mock is entered, and taken out when the last one is left, in whatever
order that happens.
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

# By the library whose calls they lead: what that takes besides, and the module.
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
    """Lead this process's calls to an emulator.

    Those of the thread or task that entered, to this one; those of others that have entered none,
    to the one that was entered last. Raises SetupError where no library is there to do it with.
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
        _entered.set(tuple(one for one in _entered.get() if one is not handle))
        with _lock:
            _active.remove(handle)
            guarded.remove(handle.host, refuses_others=refuses_others)
            if not _active:
                _installed.close()


def find(url: str) -> Astria | None:
    """The emulator that answers calls to an address; None where it is another's."""
    with _lock:
        own = [one for one in _entered.get() if one in _active]
        candidates = [*_active, *own]
    return next((one for one in reversed(candidates) if one.serves(url)), None)


def _install() -> None:
    """Open the doors of what has been imported, and those of the rest when it is.

    Raises SetupError.
    """
    ready = {
        library: door for library, (needed, door) in DOORS.items() if _is_there(library, needed)
    }
    if not ready.keys() & {"requests", "httpx"}:
        raise SetupError("mock_astria", [NEEDS])

    def open_door(library: str) -> None:
        door = import_module(f"astria_emulator.testing.intercept.{ready.pop(library)}")
        _installed.enter_context(door.opened(find))

    def open_late(library: str) -> None:
        if _active:  # otherwise whoever enters next sees it; to wait for them could be for ever
            with _lock:
                if _active and library in ready:
                    open_door(library)

    with ExitStack() as entered:
        entered.callback(_installed.close)
        _installed.enter_context(guarded.installed())
        for library in ready.keys() & sys.modules.keys():
            open_door(library)
        _installed.enter_context(watching(ready.keys(), open_late))
        entered.pop_all()


def _is_there(*packages: str) -> bool:
    return all(find_spec(package) for package in packages)
