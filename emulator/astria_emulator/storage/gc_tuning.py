"""Keep the collector of reference cycles from looking at a large store again and again.

What has outlived a full collection is kept out of the next ones. It is still freed as soon as
nothing refers to it: rows and files are in no cycle.
"""

import gc
import threading
from collections.abc import Iterable, Mapping
from typing import Any

OLDEST = 2
FEW = 1000  # entries that are freed within a millisecond or two


def spare_the_old() -> None:
    """From now on, what a full collection leaves is not collected any more."""
    gc.collect()
    gc.freeze()
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)


def free_slowly(tables: Iterable[dict[Any, Any]]) -> None:
    """Empty tables that nobody uses any more.

    Large ones on a thread, entry by entry: freed at once, they would hold everybody up.
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
