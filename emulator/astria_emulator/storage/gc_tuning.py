"""Keep the garbage collector from scanning a large store again and again.

What survives a full collection is excluded from the next ones. Reference counts still free it:
rows and files are in no cycle.
"""

import gc
import threading
from collections.abc import Iterable, Mapping
from typing import Any

OLDEST = 2
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


def _freeze(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == OLDEST:
        gc.freeze()
