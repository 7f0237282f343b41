"""Serve an application on a thread, for as long as something else runs."""

import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from astria_emulator.app import Emulator
from astria_emulator.server.http_server import Server


@contextmanager
def serving(
    app: Emulator,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    application: Callable[..., Iterable[bytes]] | None = None,
) -> Iterator[int]:
    """Serve until the end of the block; yields the port, a free one when 0 was asked for.

    application: what is asked in the place of `app`, and asks it.

    Answers that are being made are sent before it ends, if that does not take long. Raises OSError
    when it cannot listen there.
    """
    limit = app.services.config.max_body
    asked = application or app
    server = Server(asked, host, port, max_body=limit, is_quick=app.is_quick, tls=tls)
    thread = threading.Thread(target=server.run, name="server", daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join()
