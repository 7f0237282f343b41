"""The connection of a request: to wait, to break it off, and to give its thread back meanwhile."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

# Keys in a request's environ: its connection, which the server puts there, and whether it comes
# from this process and not over a network.
CONNECTION, IS_LOCAL = "emulator.connection", "emulator.is_local"
RESULT_OF = "emulator.result_of"  # the server's own `result_of`

Result = TypeVar("Result")


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


class Suspended(BaseException):
    """The request is answered from its beginning once `work` has ended.

    Nobody but the server is to catch it.
    """

    def __init__(self, work: Future[Any]):
        self.work = work


def connection_of(environ: dict[str, Any]) -> Connection:
    connection: Connection = environ.get(CONNECTION) or PlainConnection()
    return connection


def result_of(environ: dict[str, Any], begin: Callable[[], Future[Result]]) -> Result:
    """Return the result of work that another thread does; `begin` has it done.

    A server gives this thread back meanwhile: the request is answered from its beginning when the
    work has ended, and `begin` is not called again. So a request may have one such work only, and
    before it nothing that is to be done once.
    """
    wait: Callable[[Callable[[], Future[Result]]], Result] | None = environ.get(RESULT_OF)
    return wait(begin) if wait else begin().result()
