"""Servers that answer as a test says, byte for byte."""

import socket
import threading
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import pytest

from astria_emulator.outbound.door import Failed, fetch, post
from tests import PATIENCE_SECONDS

Names = Callable[[dict[str, list[str]]], list[str]]
Listen = Callable[[Callable[[socket.socket], None]], str]
OK = b"HTTP/1.1 200 OK\r\n"
DOORS = ("post", "fetch")


def answering(*pieces: bytes) -> Callable[[socket.socket], None]:
    """Answer each request with the same bytes, and close."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        for piece in pieces:
            connection.sendall(piece)

    return answer


def get(
    url: str,
    *,
    timeout: float = PATIENCE_SECONDS,
    allowed: tuple[str, ...] = (),
    max_bytes: int = 1000,
) -> Any:
    return fetch(url, allowed_hosts=allowed, timeout=timeout, max_bytes=max_bytes)


def error_of(door: str, url: str, **more: Any) -> str:
    """Why nothing came of it, through one of the two doors."""
    if door == "post":
        return str(send(url, **more).error)
    with pytest.raises(Failed) as failed:
        get(url, **more)
    return str(failed.value)


def send(url: str, *, timeout: float = PATIENCE_SECONDS, allowed: tuple[str, ...] = ()) -> Any:
    return post(url, b'{"a":1}', allowed_hosts=allowed, timeout=timeout)


PACE_SECONDS = 0.05  # so slow that no limit of size is reached before the patience has ended


def drip(*texts: bytes) -> Callable[[socket.socket], None]:
    """Send a first text, and then the second one byte by byte, until the other side hangs up.

    Raises AssertionError, in the thread that serves, where it never does.
    """

    def answer(connection: socket.socket) -> None:
        tick = threading.Event()
        connection.recv(4096)
        connection.sendall(texts[0])
        for byte in islice(cycle(texts[1]), round(PATIENCE_SECONDS / PACE_SECONDS)):
            tick.wait(PACE_SECONDS)
            connection.sendall(bytes([byte]))
        raise AssertionError("the other side still listens")

    return answer
