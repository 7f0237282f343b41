"""The transactions of a database: each thread has at most one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from astria_emulator.storage.sql.database import Database
from astria_emulator.storage.sql.session import Session
from astria_emulator.storage.sql.work import UnitOfWork
from astria_emulator.storage.store import run_all


class Transactions:
    """Begins and ends transactions. A nested one is part of the outer one."""

    def __init__(self, database: Database):
        self._database = database
        self._local = threading.local()

    @property
    def work(self) -> UnitOfWork | None:
        """This thread's transaction, or None."""
        return getattr(self._local, "work", None)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        if self.work is not None:  # nested: the outer one commits
            yield self.work
            return
        work = None
        try:
            with self._database.write() as session:
                work = self._local.work = UnitOfWork(session)
                yield work
                work.flush()
                for action in work.before_commit:
                    session.stay_awake()
                    action()
        except BaseException:
            self._local.work = None
            run_all(reversed(work.on_rollback if work else ()))
            raise
        finally:
            self._local.work = None
        run_all(work.on_commit)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that sees the changes of this thread's transaction."""
        if self.work:
            self.work.flush()
            yield self.work.session
        else:
            with self._database.read() as session:
                yield session

    def before_commit(self, action: Callable[[], object]) -> None:
        """Run an action before this thread's transaction is committed, which there must be."""
        assert self.work  # noqa: S101 - for mypy
        self.work.before_commit.append(action)

    def on_rollback(self, action: Callable[[], object]) -> None:
        if self.work:
            self.work.on_rollback.append(action)

    def on_commit(self, action: Callable[[], object]) -> None:
        if self.work:
            self.work.on_commit.append(action)
        else:
            action()
