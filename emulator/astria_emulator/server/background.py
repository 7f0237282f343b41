"""Serve an application on a thread, for the duration of a `with` block."""

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
    """Serve until the end of the block; yield the port, a free one for port 0.

    application: a WSGI application that wraps `app`, and is served in its place.

    Running requests are answered before it ends, unless they take long. Raises OSError when it
    cannot listen there.
    """
    limit = app.services.config.max_body
    served = application or app
    server = Server(
        served, host, port, max_body=limit, is_quick=app.is_quick, may_fetch=app.may_fetch, tls=tls
    )
    thread = threading.Thread(target=server.run, name="server", daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join()
