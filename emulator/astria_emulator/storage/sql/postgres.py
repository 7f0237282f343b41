"""A store's database in PostgreSQL."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, create_engine, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from astria_emulator.clock import Clock, SystemClock
from astria_emulator.errors import SetupError, Unavailable
from astria_emulator.storage.sql.database import Trouble, closing_on_error, turn
from astria_emulator.storage.sql.records import EPOCH
from astria_emulator.storage.sql.session import Record, Session
from astria_emulator.storage.sql.statements import SHIFT_JOBS
from astria_emulator.storage.sql.tables import now, prepare
from astria_emulator.storage.sql.watchdog import Wait, Watchdog

LOCK = 4_172_026_110  # the advisory lock that a writer holds
CONNECTIONS = 8
# Every statement has its index. A new database has no statistics: PostgreSQL would then sort a
# whole queue to find its first job.
PLANS = "-c enable_bitmapscan=off -c enable_seqscan=off"
SLOW_SECONDS = 2.0  # without an answer, from which on it is a problem


@dataclass(frozen=True)
class Limits:
    """How many seconds a wait for PostgreSQL may take; all are shorter than a job's lease.

    A frozen process loses its lock after `idle`, before others give up waiting for it (`lock`).
    answer: for any statement. turn: of a thread behind other threads of this process.
    """

    connect: int = 3
    idle: float = 4.0
    lock: float = 6.0
    answer: float = 8.0
    turn: float = 8.0

    @property
    def of_connection(self) -> Record:
        """The parameters of libpq."""
        millis = {
            "idle_in_transaction_session_timeout": self.idle,
            "lock_timeout": self.lock,
            "statement_timeout": self.answer,
            "tcp_user_timeout": self.answer,  # of a frozen client that takes no more of an answer
        }
        options = [PLANS, *(f"-c {name}={int(value * 1000)}" for name, value in millis.items())]
        return {
            "options": " ".join(options),
            "connect_timeout": self.connect,
            "tcp_user_timeout": int(self.answer * 1000),
            "keepalives_idle": 3,
            "keepalives_interval": 2,
            "keepalives_count": 2,
        }


class Postgres:
    """A PostgreSQL database that any number of processes share."""

    is_shared = True

    def __init__(self, url: str, limits: Limits = Limits()):
        """Raises SetupError; no message holds the URL, which may have a password in it."""
        self.home = uuid4().hex
        self._limits = limits
        self._lock = threading.RLock()
        self._watchdog = Watchdog(limits.answer)
        try:
            parsed = make_url(url).set(drivername="postgresql+psycopg")
            self._engine = create_engine(
                parsed,
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=limits.turn,
                connect_args=limits.of_connection,
            )
            driver = self._engine.dialect.loaded_dbapi
            self._trouble = Trouble(
                driver.OperationalError, driver.InterfaceError, DBAPIError, PoolTimeout
            )
            self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            with closing_on_error(self), self._writing() as (connection, wait):
                prepare(connection)
                session = self._session(connection, wait)
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

    def problem(self) -> str | None:
        if (seconds := self._watchdog.longest_wait()) > SLOW_SECONDS:
            return f"it has not answered for {seconds:.0f} s"
        return self._trouble.problem

    @contextmanager
    def read(self) -> Iterator[Session]:
        with (
            self._noting_trouble(),
            self._reader.connect() as connection,
            self._watching(connection) as wait,
        ):
            yield self._session(connection, wait)

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._noting_trouble(), self._writing() as (connection, wait):
            yield self._session(connection, wait)

    @contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        """After a connection has failed, drop the others of the pool too."""
        try:
            with self._trouble.noted():
                yield
        except Unavailable as error:
            if error.__cause__:  # else only others of this process were waited for
                self._engine.dispose()
            raise

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, Wait]]:
        # Threads queue here, so that only one connection waits for other processes.
        with (
            turn(self._lock, self._limits.turn),
            self._engine.connect() as connection,
            self._watching(connection) as wait,
        ):
            transaction = connection.begin()
            try:
                with wait.for_answer():
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
                yield connection, wait
                with wait.for_answer():
                    transaction.commit()
            except BaseException:
                with wait.for_answer():
                    transaction.rollback()
                raise

    def _watching(self, connection: Connection) -> AbstractContextManager[Wait]:
        driver: Any = connection.connection.driver_connection
        return self._watchdog.watching(driver.fileno())

    def _session(self, connection: Connection, wait: Wait) -> Session:
        return Session(connection.connection.cursor(), self._engine.dialect, wait)

    def close(self) -> None:
        self._watchdog.close()
        self._engine.dispose()


def _machine_time() -> timedelta:
    return datetime.now(UTC) - EPOCH
