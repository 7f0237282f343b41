"""The two databases of a store: how they are opened, and who may write.

There is one writer at a time in all processes together: what it reads does not change until it
ends. A database that does not answer raises Unavailable.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import ClauseElement, Connection, Dialect, create_engine, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from astria_emulator.clock import Clock, SystemClock
from astria_emulator.errors import SetupError, Unavailable
from astria_emulator.storage.private import close_to_others, make_file, make_folder
from astria_emulator.storage.sql.statements import SHIFT_JOBS
from astria_emulator.storage.sql.tables import CLOCK_OF_SQLITE, JOBS, now, prepare

log = logging.getLogger(__name__)

FILE_NAME = "astria.sqlite3"
LOCK = 4_172_026_110  # PostgreSQL's advisory lock that a writer holds
CONNECTIONS = 8
# Every statement has its index. A new database has no statistics: PostgreSQL would then sort a
# whole queue to find its first job.
PLANS = "-c enable_bitmapscan=off -c enable_seqscan=off"
BUSY_SECONDS = 2.0  # the process before this one may still be ending

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Record = dict[str, Any]


class Session:
    """Runs statements on a connection. Each is compiled once: compiling is most of its cost."""

    def __init__(self, cursor: Any, dialect: Dialect):
        self._cursor, self._dialect = cursor, dialect

    def rows(self, statement: ClauseElement, params: Record | None = None) -> list[Any]:
        """Return a statement's rows as tuples."""
        sql, fixed = _compiled(statement, self._dialect)
        return list(self._cursor.execute(sql, fixed | (params or {})).fetchall())

    def run(self, statement: ClauseElement, *records: Record) -> int:
        """Run a statement for each record; return how many rows it changed."""
        sql, fixed = _compiled(statement, self._dialect)
        if len(records) > 1:
            self._cursor.executemany(sql, [fixed | record for record in records])
        else:
            self._cursor.execute(sql, fixed | (records[0] if records else {}))
        return int(self._cursor.rowcount)


@lru_cache
def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, Record]:
    """Return a statement's text and its constants."""
    compiled = statement.compile(dialect=dialect)
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), fixed


class Database(Protocol):
    """Opens sessions to read or to write. All may raise Unavailable.

    `home` names this process among those that share the database; "" where none do. `clock`: the
    database's time, which is never set back while it is open.
    """

    is_shared: bool
    home: str
    clock: Clock

    def read(self) -> AbstractContextManager[Session]: ...
    def write(self) -> AbstractContextManager[Session]: ...
    def close(self) -> None: ...


class Sqlite:
    """One file, one connection, one process: a second process is refused."""

    is_shared = False
    home = ""

    def __init__(self, folder: Path, clock: Clock | None = None):
        """Raises SetupError."""
        path = folder / FILE_NAME
        self.clock = time = clock or SystemClock()
        self._lock = threading.RLock()
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

    @contextmanager
    def read(self) -> Iterator[Session]:
        with _raising_unavailable(sqlite3.OperationalError), self._lock:
            yield self._session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with _raising_unavailable(sqlite3.OperationalError), self._writing() as session:
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self._lock:
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


class Postgres:
    """A PostgreSQL database that any number of processes share."""

    is_shared = True

    def __init__(self, url: str):
        """Raises SetupError; no message holds the URL, which may have a password in it."""
        self.home = uuid4().hex
        self._lock = threading.RLock()
        try:
            parsed = make_url(url).set(drivername="postgresql+psycopg")
            self._engine = create_engine(
                parsed,
                pool_size=CONNECTIONS,
                max_overflow=0,
                connect_args={"options": PLANS},
            )
            self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            with closing_on_error(self), self._writing() as connection:
                prepare(connection)
                session = self._session(connection)
                session.run(SHIFT_JOBS)
                # Servers' clocks may differ, and be set back while a server is stopped.
                ahead = timedelta(microseconds=session.rows(select(now()))[0][0]) - _machine_time()
                self.clock: Clock = SystemClock(lambda: EPOCH + _machine_time() + ahead)
        except ImportError:
            extra = "PostgreSQL needs a driver: pip install 'astria-emulator[postgres]'"
            raise SetupError("--database", [extra]) from None
        except (ValueError, SQLAlchemyError) as error:
            reason = str(getattr(error, "orig", None) or "expected postgresql://USER@HOST/NAME")
            raise SetupError("--database", [reason.strip()]) from None

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._raising_unavailable(), self._reader.connect() as connection:
            yield self._session(connection)

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._raising_unavailable(), self._writing() as connection:
            yield self._session(connection)

    @contextmanager
    def _raising_unavailable(self) -> Iterator[None]:
        """After a errors connection, drop the others of the pool too."""
        driver = self._engine.dialect.loaded_dbapi
        errors = (driver.OperationalError, driver.InterfaceError, DBAPIError, PoolTimeout)
        try:
            with _raising_unavailable(*errors):
                yield
        except Unavailable:
            self._engine.dispose()
            raise

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        # Threads queue here, so that only one connection waits for other processes.
        with self._lock, self._engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield connection

    def _session(self, connection: Connection) -> Session:
        return Session(connection.connection.cursor(), self._engine.dialect)

    def close(self) -> None:
        self._engine.dispose()


def _machine_time() -> timedelta:
    return datetime.now(UTC) - EPOCH


@contextmanager
def _raising_unavailable(*errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        log.warning("the database does not answer: %s", reason)
        raise Unavailable from error


@contextmanager
def closing_on_error(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise
