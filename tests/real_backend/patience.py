"""How long tests wait for another thread or process: until it happens, or something is broken."""

import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 600.0  # seconds; a loaded machine takes long, and no test measures how long
PAUSE = 0.02  # seconds between two looks


def eventually(look: Callable[[], Any]) -> Any:
    """What a look returns once it is true; fails the test when PATIENCE is over."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        threading.Event().wait(PAUSE)
    raise AssertionError(f"it has not happened within {PATIENCE:g} seconds")
