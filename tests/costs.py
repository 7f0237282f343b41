"""What an action costs, in numbers that are the same on every machine."""

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any

import pytest

import astria_emulator
from astria_emulator.storage.store import Store

OWN = astria_emulator.__path__[0]


def cost_of(store: Store, act: Callable[[], object]) -> Counter[str]:
    """Count the lines of ours that an action runs in this thread, and what a database does for it.

    That is statements and rows that are read, and with SQLite also the instructions of its machine.
    """
    counts: Counter[str] = Counter()
    with ExitStack() as undo:
        if database := getattr(store, "_database", None):
            _count_statements(counts, undo)
            if hasattr(database, "_cursor"):
                connection = database._cursor.connection
                connection.set_progress_handler(lambda: counts.update(instructions=1), 1)
                undo.callback(connection.set_progress_handler, None, 1)
        undo.callback(sys.settrace, sys.gettrace())
        sys.settrace(_line_counter(counts))
        act()
    return counts


def _line_counter(counts: Counter[str]) -> Any:
    def count(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            counts["lines"] += 1
        return count

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        return count if frame.f_code.co_filename.startswith(OWN) else None

    return enter


def _count_statements(counts: Counter[str], undo: ExitStack) -> None:
    from astria_emulator.storage.sql.session import Session

    patch = undo.enter_context(pytest.MonkeyPatch.context())
    read, run = Session.rows, Session.run

    def rows(session: Session, *args: Any) -> list[Any]:
        found = read(session, *args)
        counts.update(statements=1, rows=len(found))
        return found

    def changes(session: Session, *args: Any) -> int:
        counts.update(statements=1)
        return run(session, *args)

    patch.setattr(Session, "rows", rows)
    patch.setattr(Session, "run", changes)


def assert_alike(one: Counter[str], other: Counter[str], *, times: int = 1) -> None:
    """Hold that one action costs no more than so many others do.

    Where a store is larger, its blocks and pages may cost a little more now and then.
    """
    dearer = {name: f"{count} > {one[name]}" for name, count in other.items()
              if count > 1.1 * times * one[name]}  # fmt: skip
    assert not dearer, dearer
