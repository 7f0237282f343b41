"""What the tests of callbacks share."""

import socket
from datetime import UTC, datetime

from astria_emulator.storage.store import Query, Row, Store

START = datetime(2026, 1, 1, tzinfo=UTC)


def deliveries(store: Store) -> list[Row]:
    return store.find("delivery", Query(None))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
