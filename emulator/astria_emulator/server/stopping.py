"""A server stops within a bounded time, whatever it waits for."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

# Docker kills a container 10 s after it was asked to stop.
STOP_SECONDS = 7.0


class StopLimit:
    """Ends the process if it has not ended some time after it was asked to.

    What is cut off then is as after a kill, which the next start copes with.
    """

    def __init__(self, seconds: float = STOP_SECONDS, end: Callable[[int], object] = os._exit):
        self._seconds, self._end = seconds, end
        self._asked = threading.Event()
        threading.Thread(target=self._watch, name="stop limit", daemon=True).start()

    def begin(self) -> None:
        """Let the time run. Safe in a signal handler."""
        self._asked.set()

    def _watch(self) -> None:
        self._asked.wait()
        time.sleep(self._seconds)
        names = sorted({thread.name for thread in threading.enumerate() if not thread.daemon})
        log.warning(
            "the stop took longer than %g s, and cuts off what is under way (%s); the next start "
            "goes on with it", self._seconds, ", ".join(names),
        )  # fmt: skip
        logging.shutdown()
        self._end(0)


def stop_on_signals(stop: Callable[[], object], limit: StopLimit) -> None:
    """The first signal stops; a second one ends the process at once."""

    def handle(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        limit.begin()
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
