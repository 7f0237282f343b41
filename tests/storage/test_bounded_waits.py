"""No wait for a database is without an end: others that are frozen, the database itself."""

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import Integer, bindparam, select
from sqlalchemy.engine.default import DefaultDialect

from astria_emulator.errors import Unavailable
from astria_emulator.storage.sql import sqlite
from astria_emulator.storage.sql.postgres import LOCK, SLOW_SECONDS, Limits, Postgres
from astria_emulator.storage.sql.session import Session
from astria_emulator.storage.sql.sqlite import Sqlite
from astria_emulator.storage.sql.store import LEASE_MICROS, SqlStore
from astria_emulator.storage.sql.watchdog import Wait, Watchdog
from tests import PATIENCE_SECONDS, wait_until
from tests.databases import postgres_database
from tools.crash.proxy import Proxy

SHORT = Limits(idle=0.2, lock=0.3, answer=0.4, turn=0.4)


@pytest.fixture(autouse=True)
def collect() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_database() as url:
        yield url


@contextmanager
def opened(url: str, limits: Limits = SHORT) -> Iterator[SqlStore]:
    store = SqlStore(Postgres(url, limits))
    with closing(store):
        yield store


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with closing(Proxy(url)) as proxy:
        yield proxy


# -- others that are frozen ------------------------------------------------------------------------
def test_limits_are_shorter_than_a_lease_and_a_frozen_holder_goes_first() -> None:
    limits = Limits()
    assert limits.idle < limits.lock < limits.answer < LEASE_MICROS / 1_000_000
    assert max(limits.turn, limits.connect) < LEASE_MICROS / 1_000_000


def test_frozen_process_loses_the_lock_and_its_changes(url: str) -> None:
    with opened(url) as frozen, opened(url, Limits()) as other:
        transaction = frozen.transaction()
        transaction.__enter__()
        frozen.insert("tune", 1, {"title": "lost"})
        frozen.next_ids()  # it is written
        other.insert("tune", 1, {"title": "kept"})  # once the frozen one has lost its lock
        with pytest.raises(Unavailable):
            transaction.__exit__(None, None, None)
        assert [row["title"] for row in other.rows()] == ["kept"]
        assert frozen.insert("tune", 1, {"title": "later"}).id > 0  # it goes on


@pytest.mark.parametrize(("wait", "calls"), [(Wait(0), ["execute"] * 2), (None, ["executemany"])])
def test_many_statements_are_sent_one_after_the_other(wait: Wait | None, calls: list[str]) -> None:
    """Of a pipeline PostgreSQL does not see that it stands idle. SQLite is in this process."""
    cursor = Mock(rowcount=2 // len(calls))
    session = Session(cursor, DefaultDialect(), wait)
    assert session.run(select(bindparam("a", type_=Integer)), {"a": 1}, {"a": 2}) == 2
    assert [call[0] for call in cursor.method_calls] == calls


def test_frozen_process_that_takes_no_more_of_an_answer_is_cut_off() -> None:
    assert "-c tcp_user_timeout=8000" in Limits().of_connection["options"]


def test_lock_that_is_not_released_is_waited_for_only_so_long(url: str) -> None:
    import psycopg

    with opened(url) as store, psycopg.connect(url) as holder:
        holder.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        with pytest.raises(Unavailable):
            store.insert("tune", 1, {})
        holder.rollback()
        assert store.insert("tune", 1, {})


def test_long_work_within_a_transaction_is_no_freeze(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the writing of many files is."""
    monkeypatch.setattr("astria_emulator.storage.sql.session.AWAKE_SECONDS", 0.0)
    with opened(url) as store:
        statements: list[int] = []
        with store.transaction():
            work = store._transactions.work
            assert work
            rows = work.session.rows
            monkeypatch.setattr(work.session, "rows", lambda s: (statements.append(1), rows(s))[1])
            for _ in range(3):
                store.before_commit(lambda: None)
        assert len(statements) == 3


# -- a database that is frozen ---------------------------------------------------------------------
@pytest.mark.parametrize("does", ["read", "write"])
def test_frozen_database_is_waited_for_only_so_long_and_goes_on(proxy: Proxy, does: str) -> None:
    with opened(proxy.url) as store:
        assert store.problem() is None
        proxy.moving.clear()
        for _ in range(2):
            with pytest.raises(Unavailable):
                store.rows() if does == "read" else store.insert("tune", 1, {})
        assert store.problem()
        proxy.moving.set()
        assert store.insert("tune", 1, {})
        assert store.problem() is None


def test_commit_that_is_not_answered_ends(proxy: Proxy) -> None:
    def commit() -> None:
        with store.transaction():
            store.insert("tune", 1, {})
            store.next_ids()
            proxy.moving.clear()

    with opened(proxy.url) as store:
        with pytest.raises(Unavailable):
            commit()
        proxy.moving.set()
        assert store.insert("tune", 1, {})


def test_problem_is_told_while_the_database_is_waited_for(proxy: Proxy) -> None:
    long = SLOW_SECONDS * 100
    with opened(proxy.url, Limits(lock=long, answer=long, idle=long)) as store:
        proxy.moving.clear()
        waiting = threading.Thread(target=store.rows)
        waiting.start()
        problem = wait_until(store.problem)
        assert "it has not answered for" in problem
        proxy.moving.set()
        waiting.join(PATIENCE_SECONDS)
        assert store.problem() is None


def test_database_that_takes_no_connection_is_told_at_once_of(proxy: Proxy) -> None:
    with opened(proxy.url, Limits(connect=2)) as store:  # libpq takes no less
        proxy.moving.clear()
        store._database._engine.dispose()  # type: ignore[attr-defined]
        with pytest.raises(Unavailable):
            store.rows()
        proxy.moving.set()


# -- threads of this process -----------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_thread_waits_for_its_turn_only_so_long(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "TURN_SECONDS", 0.1)
    with opened_store(kind, tmp_path) as store:
        errors: list[BaseException] = []

        def insert() -> None:
            try:
                store.insert("tune", 1, {})
            except Unavailable as error:
                errors.append(error)

        with store.transaction():
            other = threading.Thread(target=insert)
            other.start()
            other.join(PATIENCE_SECONDS)
            if kind == "postgres":  # or it would be taken for a frozen one
                store.next_ids()
        assert len(errors) == 1
        assert store.rows() == []


@contextmanager
def opened_store(kind: str, folder: Path) -> Iterator[SqlStore]:
    if kind == "sqlite":
        with closing(SqlStore(Sqlite(folder))) as store:
            yield store
    else:
        with postgres_database() as url, opened(url, Limits(turn=0.1)) as store:
            yield store


# -- the watchdog ----------------------------------------------------------------------------------
def test_watchdog_cuts_those_that_wait_for_too_long_and_no_others() -> None:
    watchdog = Watchdog(0.1)
    pairs = [socket.socketpair() for _ in range(2)]
    with closing(watchdog), watchdog.watching(pairs[0][0].fileno()) as waits:
        with watchdog.watching(pairs[1][0].fileno()), waits.for_answer():
            pairs[0][0].settimeout(PATIENCE_SECONDS)
            assert pairs[0][0].recv(1) == b""  # it was cut
        assert watchdog.longest_wait() == 0
    pairs[1][1].send(b"x")
    assert pairs[1][0].recv(1) == b"x"
    for pair in pairs:
        for one in pair:
            one.close()
