"""Keep the collector of reference cycles from looking at a large store again and again.

What has outlived a full collection is kept out of the next ones. It is still freed as soon as
nothing refers to it: rows and files are in no cycle.
"""

import gc
from collections.abc import Mapping
from typing import Any

OLDEST = 2


def spare_the_old() -> None:
    """From now on, what a full collection leaves is not collected any more."""
    gc.collect()
    gc.freeze()
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)


def _freeze(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == OLDEST:
        gc.freeze()
