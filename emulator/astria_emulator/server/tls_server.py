"""HTTPS in front of a server that speaks HTTP: a proxy that ends TLS."""

import asyncio
import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK = 65536
HANDSHAKE_SECONDS = 10.0
IDLE_SECONDS = 60.0  # a client must read something within this time
DRAIN_SECONDS = 2.0
RETRY_SECONDS = 0.5


class TlsServer:
    """Listens on one address, and forwards bytes to and from a port of loopback.

    behind: that port. `connections`: the most at a time; further ones wait. Raises OSError when it
    cannot listen there.
    """

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, *, behind: int, connections: int
    ):
        self._context, self._behind = context, behind
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=connections)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._open: set[asyncio.Task[None]] = set()
        self._free_connections = asyncio.Semaphore(connections)
        self.peers: dict[int, str] = {}  # the client's address by our port in front of the server
        self._shaking: dict[asyncio.Task[None], str] = {}  # the client's, the oldest first
        self._most_shaking = max(connections // 4, 1)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_exception)
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls", daemon=True)
        self._thread.start()
        self._accepting = asyncio.run_coroutine_threadsafe(self._accept(), self._loop)

    def stop(self) -> None:
        """Accept no new connections."""
        self._accepting.cancel()

    def close(self) -> None:
        """Forward what is left, once the server behind has ended, and close."""
        self._run(self._drain())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _accept(self) -> None:
        try:
            while True:
                await self._free_connections.acquire()
                try:
                    accepted, address = await self._loop.sock_accept(self._socket)
                except OSError as error:  # such as too many open files
                    log.warning("no connection could be accepted: %s", type(error).__name__)
                    self._free_connections.release()
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                task = self._loop.create_task(self._serve(accepted, address[0]))
                self._open.add(task)
                task.add_done_callback(self._ended)
                self._shaking[task] = address[0]
                await asyncio.sleep(0)  # it begins: one that has not begun would not close
                self._end_handshakes()
        finally:
            self._socket.close()

    def _end_handshakes(self) -> None:
        """End the oldest handshake of the client that has most, where there are too many."""
        if len(self._shaking) > self._most_shaking:
            most = Counter(self._shaking.values()).most_common(1)[0][0]
            oldest = next(task for task, peer in self._shaking.items() if peer == most)
            del self._shaking[oldest]
            oldest.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        self._shaking.pop(task, None)
        self._free_connections.release()

    async def _serve(self, accepted: socket.socket, peer: str) -> None:
        opened: list[asyncio.StreamWriter] = []
        port = 0
        try:
            reader, writer = await self._shake_hands(accepted)
            opened.append(writer)
            if task := asyncio.current_task():
                self._shaking.pop(task, None)
            behind = await asyncio.open_connection("127.0.0.1", self._behind, limit=CHUNK)
            opened.append(behind[1])
            port = behind[1].get_extra_info("sockname")[1]
            self.peers[port] = peer
            await asyncio.gather(_forward(reader, behind[1]), _forward(behind[0], writer))
        except OSError as error:
            log.debug("a connection ended: %s", type(error).__name__)
        except asyncio.CancelledError:
            for stream in opened:  # to close would wait for the client's own end of TLS
                stream.transport.abort()
            raise
        finally:
            for stream in opened:
                stream.close()
            closing = (stream.wait_closed() for stream in opened)
            await asyncio.gather(*closing, return_exceptions=True)
            self.peers.pop(port, None)

    async def _shake_hands(self, accepted: socket.socket) -> Streams:
        reader = asyncio.StreamReader(CHUNK, self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol,
            accepted,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=IDLE_SECONDS,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _drain(self) -> None:
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward bytes until the end, wait until all are sent, then signal the end."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await _drained(writer)
        writer.transport.set_write_buffer_limits(high=1, low=0)
        await _drained(writer)
    except OSError as error:
        log.debug("a connection was cut: %s", type(error).__name__)
    finally:
        with suppress(OSError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()  # the answer may still come
            else:
                writer.close()


async def _drained(writer: asyncio.StreamWriter) -> None:
    """Wait until the buffer is nearly empty; raises TimeoutError, an OSError."""
    async with asyncio.timeout(IDLE_SECONDS):
        await writer.drain()


def _log_exception(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio reports of failed handshakes and broken connections."""
    log.debug("%s", context.get("message"))
