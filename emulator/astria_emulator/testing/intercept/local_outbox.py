"""Callbacks that stay in the process: kept, or handed to the test's own application."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from astria_emulator.outbound.door import PostResult
from astria_emulator.testing.intercept.receivers import Receiver


class LocalOutbox:
    """Sends in the thread that calls `flush`, under no lock; without a receiver all are kept."""

    senders = 1

    def __init__(self, receiver: Receiver | None):
        self.receiver = receiver
        self._waiting: deque[Callable[[], None]] = deque()

    def submit(self, send: Callable[[], None]) -> None:
        self._waiting.append(send)

    def flush(self) -> int:
        sent = 0
        while True:
            try:
                send = self._waiting.popleft()
            except IndexError:
                return sent
            send()
            sent += 1

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        if self.receiver is None:
            return None
        sent = self.receiver.post(url, body)
        return PostResult(None, "timed out", sent.seconds) if hang_up else sent

    @contextmanager
    def to(self, receiver: Receiver | None) -> Iterator[None]:
        """Within it all goes to another receiver, where one is given."""
        before, self.receiver = self.receiver, receiver or self.receiver
        try:
            yield
        finally:
            self.receiver = before

    def close(self) -> None:
        self._waiting.clear()
