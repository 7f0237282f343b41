import threading
import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

# The one limit of all that tests wait for: only what never comes takes so long, however busy the
# machine is.
PATIENCE_SECONDS = 600.0
PAUSE_SECONDS = 0.02  # between two looks


def wait_until(look: Callable[[], Seen]) -> Seen:
    """Look again and again until what is seen is true, and return it.

    For what tells nobody when it happens.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < end, "it never came to be so"
        threading.Event().wait(PAUSE_SECONDS)
    return seen
