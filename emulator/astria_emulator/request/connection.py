"""The connection of a request, as faults use it: to wait, or to break it off."""

import time
from typing import Any, Protocol

# Keys in a request's environ: its connection, which the server puts there, and whether it comes
# from this process and not over a network.
CONNECTION, IS_LOCAL = "emulator.connection", "emulator.is_local"


class Connection(Protocol):
    """The client's end of a request that is being answered."""

    def wait(self, seconds: float) -> None:
        """Wait for some seconds."""
        ...

    def reset(self) -> None:
        """Break the connection off. The answer is not sent then."""
        ...


class PlainConnection:
    """For servers that do not give access to their connections: reset raises."""

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def reset(self) -> None:
        raise ConnectionResetError


def connection_of(environ: dict[str, Any]) -> Connection:
    connection: Connection = environ.get(CONNECTION) or PlainConnection()
    return connection
