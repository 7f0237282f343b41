"""HTTPS in front of a server that speaks HTTP: each connection is decrypted and passed on."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

CHUNK = 65536
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
CONNECTIONS = 300


class TlsServer:
    """Listens on one address, and passes bytes to and from a port of loopback.

    Raises OSError when it cannot listen there.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, *, behind: int):
        self._behind = behind
        self._open: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_note)
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls", daemon=True)
        self._thread.start()
        try:
            self._server = self._do(
                asyncio.start_server(
                    self._serve,
                    host,
                    port,
                    ssl=context,
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=CLOSE_SECONDS,
                    backlog=CONNECTIONS,
                    limit=CHUNK,
                )
            )
        except BaseException:
            self._end()
            raise
        self.port: int = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Take no new connections."""
        self._loop.call_soon_threadsafe(self._server.close)

    def close(self) -> None:
        """Pass on what is left, once the server behind has ended, and end."""
        self.stop()
        self._do(self._drain())
        self._end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= CONNECTIONS:
            writer.close()
            return
        self._open.add(task)
        writers = [writer]
        try:
            behind = await asyncio.open_connection("127.0.0.1", self._behind, limit=CHUNK)
            writers.append(behind[1])
            await asyncio.gather(_pass_on(reader, behind[1]), _pass_on(behind[0], writer))
        except OSError as error:
            log.debug("a connection ended: %s", type(error).__name__)
        finally:
            for open_one in writers:
                open_one.close()
            await asyncio.gather(*(one.wait_closed() for one in writers), return_exceptions=True)
            self._open.discard(task)

    async def _drain(self) -> None:
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until there are no more; then tell so."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError as error:
        log.debug("a connection was cut: %s", type(error).__name__)
    finally:
        with suppress(OSError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()  # the answer may still come
            else:
                writer.close()


def _note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio tells of handshakes that failed, and of connections that were cut."""
    log.debug("%s", context.get("message"))
