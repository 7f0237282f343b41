"""The outbox: on which thread a callback is sent, and how."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from astria_emulator.outbound import door
from astria_emulator.outbound.door import PostResult

TIMEOUT_SECONDS = 10.0
SENDERS = 64
CALLS_EACH = 4  # so that many receivers that do not answer leave senders to others


class Outbox(Protocol):
    """Sends callbacks. `senders`: how many it sends at a time.

    `calls_each`: how many of these to one receiver, that is host and port; receivers take turns.
    None: any number, all calls in the order of (due, id).

    `submit` may be called from any thread, which holds no lock that a receiver could need.
    `flush` sends what waits for the calling thread and returns the number of calls; 0 where other
    threads send. `post` returns None for a callback that is recorded and not sent. `hang_up`:
    close the connection without waiting for an answer, as a sender that times out.
    """

    senders: int
    calls_each: int | None

    def submit(self, send: Callable[[], None]) -> None: ...
    def flush(self) -> int: ...
    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None: ...
    def close(self) -> None: ...


class ThreadOutbox:
    """Sends over HTTP, on its own threads."""

    senders = SENDERS
    calls_each: int | None = CALLS_EACH

    def __init__(self, allowed_hosts: Iterable[str]):
        self._allowed_hosts = tuple(allowed_hosts)
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="callback")

    def submit(self, send: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # closed
            self._pool.submit(send)

    def flush(self) -> int:
        """Do nothing: the threads send."""
        return 0

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        return door.post(
            url, body, allowed_hosts=self._allowed_hosts, timeout=TIMEOUT_SECONDS, hang_up=hang_up
        )

    def close(self) -> None:
        """Wait for the calls that are being sent; drop those that wait."""
        self._pool.shutdown(wait=True, cancel_futures=True)
