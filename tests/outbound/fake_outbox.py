"""Outboxes for tests of who is called when."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from astria_emulator.outbound.door import PostResult, receiver_of
from tests import PATIENCE_SECONDS

OK = PostResult(200, None, 0.0)


class PatientOutbox:
    """Sends only when it is told to, in the thread of the test; notes who is called.

    most: how many calls it takes; after that it calls `stop`.
    """

    def __init__(self, *, senders: int = 64, calls_each: int | None = 4):
        self.senders, self.calls_each = senders, calls_each
        self.submitted: list[Callable[[], None]] = []
        self.called: list[str] = []
        self.most = -1
        self.stop: Callable[[], None] = lambda: None

    def submit(self, send: Callable[[], None]) -> None:
        self.submitted.append(send)

    def flush(self) -> int:
        return 0

    def send(self) -> None:
        while self.submitted:
            self.submitted.pop(0)()

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        self.called.append(receiver_of(url))
        self.most -= 1
        if self.most == 0:
            self.stop()
        return OK

    def close(self) -> None: ...


class GatedOutbox:
    """Sends on threads. Calls to a host whose name begins with `silent` wait until it is opened."""

    def __init__(self, *, senders: int, calls_each: int):
        self.senders, self.calls_each = senders, calls_each
        self.opened = threading.Event()
        self.submits = 0
        self._pool = ThreadPoolExecutor(senders)
        self._changed = threading.Condition()
        self.begun: list[str] = []
        self.waiting = 0

    def submit(self, send: Callable[[], None]) -> None:
        self.submits += 1
        with suppress(RuntimeError):  # closed
            self._pool.submit(send)

    def flush(self) -> int:
        return 0

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        receiver = receiver_of(url)
        is_silent = receiver.startswith("silent")
        with self._changed:
            self.begun.append(receiver)
            self.waiting += is_silent
            self._changed.notify_all()
        if is_silent:
            assert self.opened.wait(PATIENCE_SECONDS)
        return OK

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, PATIENCE_SECONDS)

    def close(self) -> None:
        self.opened.set()
        self._pool.shutdown()
