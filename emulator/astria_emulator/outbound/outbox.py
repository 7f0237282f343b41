"""How callbacks leave: when they are sent, and by what."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from astria_emulator.outbound import door
from astria_emulator.outbound.door import Sent

TIMEOUT_SECONDS = 10.0
SENDERS = 16


class Outbox(Protocol):
    """Calls of `submit` may come from any thread, and hold no lock that a receiver could need.

    `flush` sends what waits for the thread that calls it, and tells how many calls that were; none
    where others send. `post` answers None for a callback that is kept and not sent. `hang_up`:
    break off once it has been sent, as a sender does whose patience has ended.
    """

    senders: int

    def submit(self, send: Callable[[], None]) -> None: ...
    def flush(self) -> int: ...
    def post(self, url: str, body: bytes, *, hang_up: bool) -> Sent | None: ...
    def close(self) -> None: ...


class ThreadOutbox:
    """Sends over HTTP, on threads of its own."""

    senders = SENDERS

    def __init__(self, allowed_hosts: Iterable[str]):
        self._allowed_hosts = tuple(allowed_hosts)
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="callback")

    def submit(self, send: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # closed
            self._pool.submit(send)

    def flush(self) -> int:
        """None: the threads see to it."""
        return 0

    def post(self, url: str, body: bytes, *, hang_up: bool) -> Sent | None:
        return door.post(
            url, body, allowed_hosts=self._allowed_hosts, timeout=TIMEOUT_SECONDS, hang_up=hang_up
        )

    def close(self) -> None:
        """Let calls under way end."""
        self._pool.shutdown(wait=True, cancel_futures=True)
