"""A proxy in front of PostgreSQL that can be frozen, and cut its connections."""

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

DEFAULT_PORT = 5432


class Proxy:
    """Forwards until it is frozen: then it takes bytes, as a frozen server's kernel, and no more.

    url: the one that leads through it. `moving`: cleared while it is frozen.
    """

    def __init__(self, url: str):
        parts = urlsplit(url)
        self._behind = parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORT
        self._listener = socket.create_server(("127.0.0.1", 0))
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        self.url = parts._replace(
            netloc=f"{user}127.0.0.1:{self._listener.getsockname()[1]}"
        ).geturl()
        self.moving = threading.Event()
        self.moving.set()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections."""
        connections, self._open = self._open, []
        for one in connections:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self.moving.set()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._behind)
                self._open += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.moving.wait()
                target.sendall(data)
        except OSError:
            pass  # one of them was killed
        finally:  # else the other one would wait for it, and hold what it holds
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
