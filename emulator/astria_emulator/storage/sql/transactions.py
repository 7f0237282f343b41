"""The transactions of a database: one at a time in each thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from astria_emulator.storage.sql.database import Database, Session
from astria_emulator.storage.sql.work import Work
from astria_emulator.storage.store import act_on_commit


class Transactions:
    """Begins and ends transactions; one within another is part of it."""

    def __init__(self, database: Database):
        self._database = database
        self._local = threading.local()

    @property
    def work(self) -> Work | None:
        """The transaction of this thread."""
        return getattr(self._local, "work", None)

    @contextmanager
    def write(self) -> Iterator[Work]:
        if self.work is not None:  # within another one, whose end counts
            yield self.work
            return
        work = None
        try:
            with self._database.write() as session:
                work = self._local.work = Work(session)
                yield work
                work.flush()
        except BaseException:
            self._local.work = None
            for act in reversed(work.undo if work else ()):
                act()
            raise
        finally:
            self._local.work = None
        act_on_commit(work.later)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees what this thread's transaction has changed."""
        if self.work:
            self.work.flush()
            yield self.work.session
        else:
            with self._database.read() as session:
                yield session

    def on_rollback(self, act: Callable[[], object]) -> None:
        if self.work:
            self.work.undo.append(act)

    def on_commit(self, act: Callable[[], object]) -> None:
        if self.work:
            self.work.later.append(act)
        else:
            act()
