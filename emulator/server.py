"""Serve an application over HTTP with waitress, and stop without losing an answer.

Waitress was chosen by measurement: one process, port 0, both size limits, and a client that stalls
holds no thread.
"""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from emulator.errors import TooLarge

THREADS = 16  # two draw pictures at a time, and may keep others waiting
CONNECTIONS = 1000
DRAIN_SECONDS = 10.0
HEADER_BYTES = 65536


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """What waitress itself refuses - too large, unreadable - in the API's form."""

    def execute(self) -> None:
        error = self.request.error
        told = {"status": error.code, "error": error.reason}
        if error.code == 413:
            told = TooLarge().body
        body = json.dumps(told, separators=(",", ":"))
        self.status = f"{error.code} {error.reason}"
        self.content_length = len(body)
        self.response_headers.append(("Content-Type", "application/json"))
        self.response_headers.append(("Connection", "close"))
        self.close_on_finish = True
        self.write(body.encode())


class JsonErrorChannel(HTTPChannel):  # type: ignore[misc]
    error_task_class = JsonErrorTask


class Server:
    """An HTTP server on one address; `port` is the real one when 0 was asked for.

    Raises OSError when it cannot listen there.
    """

    def __init__(self, app: Callable[..., Any], host: str, port: int, *, max_body: int):
        # A name may have several addresses; waitress would make a server of another kind of them.
        address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self._server: Any = create_server(
            app,
            host=address[0][4][0],
            port=port,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            asyncore_use_poll=True,
            max_request_body_size=max_body,
            max_request_header_size=HEADER_BYTES,
            clear_untrusted_proxy_headers=True,
            ident=None,
        )
        self._server.channel_class = JsonErrorChannel
        self.port: int = self._server.effective_port
        self._stopping = False
        self._told = threading.Event()

    def stop(self) -> None:
        """Take no new connections, and return from `run` when all answers are out.

        Safe in a signal handler, and in another thread.
        """
        if not self._stopping:
            self._stopping = True
            self._server.pull_trigger()
            self._told.set()

    def run(self) -> None:
        """Serve until `stop`.

        Waitress' own loop drops queued requests when it is interrupted; this one empties the queue
        first.
        """
        sockets = self._server._map
        while not self._stopping:
            wasyncore.loop(timeout=1.0, use_poll=True, map=sockets, count=1)
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._is_busy() and time.monotonic() < deadline:
            wasyncore.loop(timeout=0.05, use_poll=True, map=sockets, count=1)
        self._server.task_dispatcher.shutdown()
        self._told.wait()  # `stop` is done with the trigger that is closed now
        wasyncore.close_all(sockets)

    def _is_busy(self) -> bool:
        channels = self._server.active_channels.values()
        return any(
            channel.requests or channel.request or channel.total_outbufs_len for channel in channels
        )


def stop_on_signals(server: Server) -> None:
    """The first signal drains; a second one ends the process at once."""

    def stop(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
