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


def is_finished(ask: Callable[[str, str], Any]) -> bool:
    """Let a server finish its work; whether all of it, and every callback, has ended.

    ask: (method, path) -> the answer's JSON. One call of it ends sooner than slow work does.
    """
    callbacks_ended = ask("POST", "/_emulator/finish")["callbacks_ended"]
    jobs = {job["kind"] for job in ask("GET", "/_emulator/jobs")}
    return bool(callbacks_ended) and jobs <= {"expire_tune"}
