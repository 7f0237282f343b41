"""What a fault may do to a connection besides answering on it."""

import time
from typing import Any, Protocol

# In the environ of a request: its connection, from whoever calls the application, and whether it
# has come from this process, and not over a network.
CONNECTION, IS_LOCAL = "emulator.connection", "emulator.is_local"


class Connection(Protocol):
    """The client's end of a request that is being answered."""

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        ...

    def reset(self) -> None:
        """Break the connection off; what is answered then is not sent."""
        ...


class PlainConnection:
    """Of a server that lends nobody its connections: they cannot be broken off."""

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def reset(self) -> None:
        raise ConnectionResetError


def connection_of(environ: dict[str, Any]) -> Connection:
    found: Connection = environ.get(CONNECTION) or PlainConnection()
    return found
