"""What the two databases of a store have in common: who may write, and what a failure is.

There is one writer at a time in all processes together: what it reads does not change until it
ends. A database that does not answer raises Unavailable.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from astria_emulator.clock import Clock
from astria_emulator.errors import Unavailable
from astria_emulator.storage.sql.session import Session

log = logging.getLogger(__name__)


class Database(Protocol):
    """Opens sessions to read or to write. All may raise Unavailable.

    `home` names this process among those that share the database; "" where none do. `clock`: the
    database's time, which is never set back while it is open.
    """

    is_shared: bool
    home: str
    clock: Clock

    def problem(self) -> str | None:
        """Return why it cannot be used now, as far as is known; None where nothing is."""
        ...

    def read(self) -> AbstractContextManager[Session]: ...
    def write(self) -> AbstractContextManager[Session]: ...
    def close(self) -> None: ...


class Trouble:
    """Raises Unavailable for the errors of a database that does not answer, and notes since when.

    problem: the last one, until something succeeds.
    """

    def __init__(self, *errors: type[Exception]):
        self._errors = errors
        self.problem: str | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            log.warning("the database does not answer: %s", reason)
            self.problem = reason
            raise Unavailable from error
        self.problem = None


@contextmanager
def turn(lock: "threading.RLock", seconds: float) -> Iterator[None]:
    """Hold a lock.

    Raises Unavailable when others hold it for too long.
    """
    if not lock.acquire(timeout=seconds):
        log.warning("the database is busy: others have used it for %g s", seconds)
        raise Unavailable
    try:
        yield
    finally:
        lock.release()


@contextmanager
def closing_on_error(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise
