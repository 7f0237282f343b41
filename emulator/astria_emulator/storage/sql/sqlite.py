"""A store's database in a file of SQLite."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from astria_emulator.clock import Clock, SystemClock
from astria_emulator.errors import SetupError
from astria_emulator.storage.private import close_to_others, make_file, make_folder
from astria_emulator.storage.sql.database import Trouble, closing_on_error, turn
from astria_emulator.storage.sql.session import Session
from astria_emulator.storage.sql.statements import SHIFT_JOBS
from astria_emulator.storage.sql.tables import CLOCK_OF_SQLITE, JOBS, prepare

FILE_NAME = "astria.sqlite3"
BUSY_SECONDS = 2.0  # the process before this one may still be ending
TURN_SECONDS = 30.0  # that a thread waits for its turn; the import of a large state takes long


class Sqlite:
    """One file, one connection, one process: a second process is refused."""

    is_shared = False
    home = ""

    def __init__(self, folder: Path, clock: Clock | None = None):
        """Raises SetupError."""
        path = folder / FILE_NAME
        self.clock = time = clock or SystemClock()
        self._lock = threading.RLock()
        self._trouble = Trouble(sqlite3.OperationalError)
        try:
            make_folder(folder)
            make_file(path)
            for ending in ("-wal", "-shm"):  # SQLite makes these with the mode of its file
                close_to_others(path.with_name(path.name + ending))
            self._engine = create_engine(
                f"sqlite:///{path}",
                poolclass=StaticPool,
                isolation_level="AUTOCOMMIT",
                paramstyle="named",
                connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
            )
            self._connection = self._engine.connect()
            with closing_on_error(self):
                own: Any = self._connection.connection.driver_connection
                own.create_function(CLOCK_OF_SQLITE, 0, lambda: round(time.now().timestamp() * 1e6))
                self._cursor = own.cursor()
                self._session = Session(self._cursor, self._engine.dialect)
                # The process locks the file until it ends in whatever way. A commit survives the
                # end of the process, but not a loss of power.
                for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
                    self._cursor.execute(f"PRAGMA {pragma}")
                with self._writing() as session:
                    prepare(self._connection)
                    # These claims are of a process that was killed.
                    session.run(
                        update(JOBS).where(JOBS.c.state == "running").values(state="waiting")
                    )
                    session.run(SHIFT_JOBS)
        except (OSError, SQLAlchemyError, sqlite3.Error) as error:
            reason = str(getattr(error, "orig", None) or error)
            if "locked" in reason:
                reason = "another server uses this folder, and one may; --database serves several"
            raise SetupError("--data", [f"{path}: {reason}"]) from None

    def problem(self) -> str | None:
        return self._trouble.problem

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._trouble.noted(), turn(self._lock, TURN_SECONDS):
            yield self._session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._trouble.noted(), self._writing() as session:
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with turn(self._lock, TURN_SECONDS):
            try:
                self._cursor.execute("BEGIN IMMEDIATE")
                yield self._session
                self._cursor.execute("COMMIT")
            except BaseException:
                if self._cursor.connection.in_transaction:  # a full disk may have ended it
                    self._cursor.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()
            self._engine.dispose()
