"""Callbacks that stay in the process: recorded, or sent to the test's own application."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from astria_emulator.outbound.door import PostResult
from astria_emulator.testing.intercept.receivers import Receiver


class LocalOutbox:
    """Sends in the thread that calls `flush`, under no lock. Without receiver it only records.

    A receiver may call the server, which flushes too: there may be any number of senders.
    """

    senders = sys.maxsize
    calls_each: int | None = None

    def __init__(self, receiver: Receiver | None):
        self.receiver = receiver
        self._waiting: deque[Callable[[], None]] = deque()

    def submit(self, send: Callable[[], None]) -> None:
        self._waiting.append(send)

    def flush(self) -> int:
        count = 0
        while True:
            try:
                send = self._waiting.popleft()
            except IndexError:
                return count
            send()
            count += 1

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        if self.receiver is None:
            return None
        result = self.receiver.post(url, body)
        return PostResult(None, "timed out", result.seconds) if hang_up else result

    @contextmanager
    def redirected_to(self, receiver: Receiver | None) -> Iterator[None]:
        """Send to another receiver within the block; None: to the usual one."""
        before, self.receiver = self.receiver, receiver or self.receiver
        try:
            yield
        finally:
            self.receiver = before

    def close(self) -> None:
        self._waiting.clear()
