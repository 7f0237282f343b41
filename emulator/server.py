"""Serve an application over HTTP with waitress, and stop without losing an answer.

Waitress was chosen by measurement: one process, port 0, both size limits, and a client that stalls
holds no thread.
"""

import signal
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

THREADS = 8
CONNECTIONS = 1000
DRAIN_SECONDS = 10.0
HEADER_BYTES = 65536


class Server:
    """An HTTP server on one address; `port` is the real one when 0 was asked for."""

    def __init__(self, app: Callable[..., Any], host: str, port: int, *, max_body: int):
        self._server: Any = create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            asyncore_use_poll=True,
            max_request_body_size=max_body,
            max_request_header_size=HEADER_BYTES,
            clear_untrusted_proxy_headers=True,
            ident=None,
        )
        self.port: int = self._server.effective_port
        self._stopping = False

    def stop(self, *_: Any) -> None:
        """Take no new connections, and return from `run` when all answers are out.

        Safe in a signal handler.
        """
        self._stopping = True
        self._server.pull_trigger()

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

    def _is_busy(self) -> bool:
        channels = self._server.active_channels.values()
        return any(
            channel.requests or channel.request or channel.total_outbufs_len for channel in channels
        )


def stop_on_signals(server: Server) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
