"""A thread that repeats the upkeep of a persistent store: leases, cleaning up."""

import logging
import threading
from collections.abc import Callable

from astria_emulator.errors import log_failure

log = logging.getLogger(__name__)

SECONDS = 2.5  # a fourth of a lease


class Heartbeat:
    """Calls some functions again and again until it is stopped, each on a thread of its own.

    So one that waits holds up no other. seconds: from one time to the next. `at_once`: the first
    time is at the start.
    """

    def __init__(
        self, *actions: Callable[[], object], seconds: float = SECONDS, at_once: bool = False
    ):
        self._seconds, self._at_once = seconds, at_once
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=[action], name="heartbeat", daemon=True)
            for action in actions
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _loop(self, action: Callable[[], object]) -> None:
        seconds = 0.0 if self._at_once else self._seconds
        while not self._stopping.wait(seconds):
            seconds = self._seconds
            try:
                action()
            except Exception as error:  # a database that cannot be reached may come back
                log_failure(log, "heartbeat", error)
