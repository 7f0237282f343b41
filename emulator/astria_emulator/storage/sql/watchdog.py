"""Cuts the connections of a database that does not answer, as one that is frozen.

A frozen server's kernel still takes what is sent to it, so no limit of TCP ends the wait.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(eq=False)
class Wait:
    """A connection in use. waits_since: monotonic time; None while it waits for no answer."""

    file: int
    waits_since: float | None = None

    @contextmanager
    def for_answer(self) -> Iterator[None]:
        """Enclose what waits for the database."""
        self.waits_since = time.monotonic()
        try:
            yield
        finally:
            self.waits_since = None


class Watchdog:
    """Watches connections, from a thread of its own that begins with the first one.

    seconds: how long the database may take for an answer.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._waits: set[Wait] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, file: int) -> Iterator[Wait]:
        """Watch a connection by the number of its socket's file."""
        wait = Wait(file)
        with self._lock:
            self._waits.add(wait)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="watchdog", daemon=True)
                self._thread.start()
        try:
            yield wait
        finally:
            with self._lock:
                self._waits.discard(wait)

    def longest_wait(self) -> float:
        """Return how many seconds the longest wait has taken so far; 0 where none waits."""
        now = time.monotonic()
        with self._lock:
            since = [wait.waits_since for wait in self._waits]
        return max((now - moment for moment in since if moment is not None), default=0.0)

    def close(self) -> None:
        self._closed.set()

    def _loop(self) -> None:
        while not self._closed.wait(self._seconds / 8):
            latest = time.monotonic() - self._seconds
            with self._lock:  # so that no connection is closed, and its number reused, meanwhile
                for wait in self._waits:
                    if wait.waits_since is not None and wait.waits_since < latest:
                        _cut(wait.file)


def _cut(file: int) -> None:
    """End both ways of a connection: whoever reads from it sees its end."""
    with suppress(OSError), socket.socket(fileno=os.dup(file)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
