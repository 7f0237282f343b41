"""What is done again and again for a store that lasts, on a thread of its own."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

SECONDS = 2.5  # a fourth of a lease


class Heartbeat:
    """Calls some functions now and then, if there are any, until it is stopped."""

    def __init__(self, *acts: Callable[[], object]):
        self._acts = acts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def start(self) -> None:
        if self._acts:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        while not self._stopping.wait(SECONDS):
            for act in self._acts:
                try:
                    act()
                except Exception:  # a database that cannot be reached may come back
                    log.exception("heartbeat")
