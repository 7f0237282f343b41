"""Keep the garbage collector from scanning a large store again and again.

What survives a full collection is excluded from the next ones. Reference counts still free it:
rows and files are in no cycle.
"""

import ctypes
import gc
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

OLDEST = 2
TIDY_SECONDS = 2.0  # a collection takes about 0.1 s, in which nothing else runs
FEW = 1000  # entries that are freed within a millisecond or two


def spare_the_old() -> None:
    """Exclude what survives a full collection from later ones, from now on."""
    gc.collect()
    gc.freeze()
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)


def free_slowly(tables: Iterable[dict[Any, Any]]) -> None:
    """Empty tables that are no longer used.

    Large ones are emptied on a thread, entry by entry: freed at once, they would block all threads.
    """
    large = [table for table in tables if len(table) > FEW]
    if large:
        threading.Thread(target=_empty, args=[large], name="garbage", daemon=True).start()


def _empty(tables: list[dict[Any, Any]]) -> None:
    for table in tables:
        while table:
            table.popitem()


def tidy_up_soon(seconds: float = TIDY_SECONDS) -> None:
    """Give back what a reset has left, on a thread: garbage in cycles, and memory that is free.

    Only in a process that spares the old; once for all calls within so many seconds.
    """
    if _freeze in gc.callbacks and _may_tidy.acquire(blocking=False):
        thread = threading.Timer(seconds, _tidy_up)
        thread.daemon = True
        thread.start()


def _tidy_up() -> None:
    _may_tidy.release()
    gc.unfreeze()
    gc.collect()  # its end freezes what survives
    give_memory_back()


def give_memory_back() -> None:
    """Give memory that is free to the operating system, which takes a millisecond."""
    _trim(0)


def _trimmer() -> Callable[[int], Any]:
    with suppress(AttributeError, OSError, TypeError):  # it is glibc's own
        trim: Callable[[int], Any] = ctypes.CDLL(None).malloc_trim
        return trim
    return lambda _: None


_trim = _trimmer()
_may_tidy = threading.Lock()


def _freeze(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == OLDEST:
        gc.freeze()
