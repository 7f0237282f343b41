"""Serve an application on a thread, for as long as something else runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.app import Emulator
from emulator.server import Server


@contextmanager
def serving(app: Emulator, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve until the end of the block; yields the port, a free one when 0 was asked for.

    Answers that are being made are sent before it ends. Raises OSError when it cannot listen there.
    """
    limit = app.services.config.max_body
    server = Server(app, host, port, max_body=limit, is_quick=app.is_quick)
    thread = threading.Thread(target=server.run, name="server", daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join()
