"""A thread that repeats the upkeep of a persistent store: leases, cleaning up."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

SECONDS = 2.5  # a fourth of a lease


class Heartbeat:
    """Calls some functions again and again until it is stopped; has no thread without any.

    seconds: from one time to the next. `at_once`: the first time is at the start.
    """

    def __init__(
        self, *actions: Callable[[], object], seconds: float = SECONDS, at_once: bool = False
    ):
        self._actions = actions
        self._seconds, self._at_once = seconds, at_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def start(self) -> None:
        if self._actions:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        while not self._stopping.wait(0.0 if self._at_once else self._seconds):
            self._at_once = False
            for action in self._actions:
                try:
                    action()
                except Exception:  # a database that cannot be reached may come back
                    log.exception("heartbeat")
