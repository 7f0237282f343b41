"""Serve an application over HTTP with waitress, and stop without losing an answer.

Waitress was chosen by measurement: one process, port 0, both size limits, and a client that stalls
holds no thread. Its threads answer what may take long; what is quick, the thread that has read it.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from astria_emulator.server.channel import HEADER_BYTES, Channel
from astria_emulator.server.crowding import LOOK_SECONDS, Crowd
from astria_emulator.server.tls_server import TlsServer
from astria_emulator.server.waitress_names import (
    HTTPChannel,
    ThreadedTaskDispatcher,
    create_server,
    wasyncore,
)

THREADS = 16
FETCHING_THREADS = 32  # for requests that may wait for files of other servers
CONNECTIONS = 300
FILES_EACH = 3  # that a connection may have open: the socket, a long body, a long answer
FILES_EACH_TLS = 5  # and the two sockets of what is in front
DRAIN_SECONDS = 5.0  # for answers that are under way; stopping.py limits the whole stop
IDLE_SECONDS = 60  # without a byte either way, or behind the least rate
CLEANUP_SECONDS = 5  # between two looks for what is idle
IN_MEMORY = 131_072  # bytes of a body; longer ones are in files until they have come

# Of a request's method and path: whether its answer may wait for a network.
MayFetch = Callable[[str, str], bool]
# Of a request's path, content type and bytes of its body: whether nothing makes its answer wait.
IsQuick = Callable[[str, str | None, int], bool]


class Server:
    """An HTTP server on one address; `port` is the real one when 0 was asked for.

    Raises OSError when it cannot listen there.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        host: str,
        port: int,
        *,
        max_body: int,
        is_quick: IsQuick = lambda path, content_type, length: False,
        may_fetch: MayFetch = lambda method, path: False,
        tls: ssl.SSLContext | None = None,
    ):
        # A name may have several addresses; waitress would make a server of another kind of them.
        address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        own = str(address[0][4][0])
        limit = connection_limit(FILES_EACH_TLS if tls else FILES_EACH)
        self._sockets: dict[int, Any] = {}  # by number: what the loop looks at
        self._server: Any = create_server(
            app,
            map=self._sockets,
            host="127.0.0.1" if tls else own,
            port=0 if tls else port,
            url_scheme="https" if tls else "http",
            threads=THREADS,
            connection_limit=limit,
            cleanup_interval=CLEANUP_SECONDS,
            inbuf_overflow=IN_MEMORY,
            # A long answer is put aside: a client that does not read it holds no thread.
            outbuf_high_watermark=max_body,
            max_request_body_size=max_body,
            max_request_header_size=HEADER_BYTES,
            clear_untrusted_proxy_headers=False,  # nothing here reads them
            ident=None,
        )
        self._server.channel_class = Channel
        self._server.maintenance = self.close_stalled
        # To hand a request over to another thread costs CPU time: Emulator.is_quick says how much.
        self._is_quick = is_quick
        self._may_fetch = may_fetch
        self._fetching = ThreadedTaskDispatcher()  # its threads start when they are needed
        self._quick: list[HTTPChannel] = []
        self._stalled: list[HTTPChannel] = []
        self._crowd = Crowd(limit, self._peer_of)
        self._loop_thread = 0
        self._server.add_task = self._dispatch
        self.port: int = self._server.effective_port
        self._tls = None
        if tls:
            try:
                self._tls = TlsServer(own, port, tls, behind=self.port, connections=limit)
            except OSError:
                self._server.close()
                raise
            self.port = self._tls.port
        self._stopping = False
        self._stop_has_ended = threading.Event()

    def stop(self) -> None:
        """Take no new connections, and return from `run` when all answers are out.

        Safe in a signal handler, and in another thread.
        """
        if not self._stopping:
            self._stopping = True
            self._server.pull_trigger()
            self._stop_has_ended.set()

    def run(self) -> None:
        """Serve until `stop`.

        Waitress' own loop drops queued requests when it is interrupted; this one empties the queue
        first.
        """
        self._loop_thread = threading.get_ident()
        while not self._stopping:
            is_full = self._crowd.is_full(len(self._server.active_channels))
            self._turn(LOOK_SECONDS if is_full else 1.0)
        if self._tls:
            self._tls.stop()
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._is_busy() and time.monotonic() < deadline:
            self._turn(0.05)
        self._server.task_dispatcher.shutdown()
        self._fetching.shutdown()
        self._stop_has_ended.wait()  # it uses the trigger that is closed now
        wasyncore.close_all(self._sockets)
        if self._tls:
            self._tls.close()

    def _turn(self, timeout: float) -> None:
        """Read and write what can be, close what has stalled, and answer what is quick."""
        # Waitress goes by the machine's clock, which may have been set back since.
        soon = time.time() + CLEANUP_SECONDS
        self._server.next_channel_cleanup = min(self._server.next_channel_cleanup, soon)
        wasyncore.loop(timeout=timeout, use_poll=True, map=self._sockets, count=1)
        channels = self._server.active_channels.values()
        self._stalled += self._crowd.to_close(channels, time.monotonic())
        while self._stalled:
            self._stalled.pop().handle_close()
        while self._quick:
            channel = self._quick.pop(0)
            # With answers before it that are not taken it may wait, for this thread to send them.
            if channel.total_outbufs_len or len(channel.requests) > 1:
                self._hand_over(channel)
            else:
                channel.service()

    def _dispatch(self, channel: HTTPChannel) -> None:
        """A request has been read: answer it in this thread if nothing makes it wait."""
        here = threading.get_ident() == self._loop_thread
        if here and self._waits_for_nothing(channel.requests[0]):
            self._quick.append(channel)
        else:
            self._hand_over(channel)

    def _hand_over(self, channel: HTTPChannel) -> None:
        request, dispatcher = channel.requests[0], self._server.task_dispatcher
        if not request.error and self._may_fetch(request.command, request.path):
            dispatcher = self._fetching
            dispatcher.set_thread_count(FETCHING_THREADS)
        dispatcher.add_task(channel)

    def _waits_for_nothing(self, request: Any) -> bool:
        if request.error:  # it may have no path
            return False
        content_type = request.headers.get("CONTENT_TYPE")
        return self._is_quick(request.path, content_type, request.content_length)

    def close_stalled(self, now: float) -> None:
        """Close connections that are idle or slow, also those that do not take their answer."""
        latest = now - IDLE_SECONDS
        for channel in [*self._server.active_channels.values()]:
            channel.last_activity = min(channel.last_activity, now)  # if the clock was set back
            behind = channel.behind(time.monotonic()) or 0.0
            if channel.last_activity < latest or behind > IDLE_SECONDS:
                if channel.total_outbufs_len:
                    # To be told to close it would have to take some more. To close it here would
                    # leave its number to a new connection, and what is told of it as well.
                    self._stalled.append(channel)
                    self._server.pull_trigger()
                elif not channel.requests:
                    channel.will_close = True

    def _peer_of(self, channel: Channel) -> str:
        """Return the address of a channel's client, also behind TLS."""
        host, port = channel.addr[:2]
        peers: dict[int, str] = self._tls.peers if self._tls else {}
        return peers.get(port, str(host))

    def _is_busy(self) -> bool:
        channels = self._server.active_channels.values()
        return any(
            channel.requests or channel.request or channel.total_outbufs_len for channel in channels
        )


def connection_limit(files_each: int) -> int:
    """Connections that this process may have files for."""
    try:
        import resource
    except ImportError:  # Windows
        return CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS, files // files_each) if files > 0 else CONNECTIONS
