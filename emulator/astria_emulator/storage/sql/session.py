"""Statements on a connection of either database."""

import time
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

from sqlalchemy import ClauseElement, Dialect, select

from astria_emulator.storage.sql.watchdog import Wait

AWAKE_SECONDS = 1.0  # between two signs of life within long work

Record = dict[str, Any]


class Session:
    """Runs statements on a connection. Each is compiled once: compiling is most of its cost.

    wait: notes when a statement waits for its answer.
    """

    def __init__(self, cursor: Any, dialect: Dialect, wait: Wait | None = None):
        self._cursor, self._dialect = cursor, dialect
        self._is_remote = wait is not None
        self._for_answer = wait.for_answer if wait else nullcontext
        self._used = time.monotonic()

    def rows(self, statement: ClauseElement, params: Record | None = None) -> list[Any]:
        """Return a statement's rows as tuples."""
        sql, fixed = _compiled(statement, self._dialect)
        with self._for_answer():
            rows = list(self._cursor.execute(sql, fixed | (params or {})).fetchall())
        self._used = time.monotonic()
        return rows

    def run(self, statement: ClauseElement, *records: Record) -> int:
        """Run a statement for each record; return how many rows it changed."""
        sql, fixed = _compiled(statement, self._dialect)
        if len(records) > 1 and not self._is_remote:
            self._cursor.executemany(sql, [fixed | record for record in records])
            return int(self._cursor.rowcount)
        changed = 0
        # One after the other: of a pipeline PostgreSQL does not see that its sender is frozen.
        for record in records or ({},):
            with self._for_answer():
                self._cursor.execute(sql, fixed | record)
            changed += self._cursor.rowcount
        self._used = time.monotonic()
        return changed

    def stay_awake(self) -> None:
        """Let the database see, during long work between two statements, that it goes on."""
        if time.monotonic() > self._used + AWAKE_SECONDS:
            self.rows(select(1))


@lru_cache
def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, Record]:
    """Return a statement's text and its constants."""
    compiled = statement.compile(dialect=dialect)
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), fixed
