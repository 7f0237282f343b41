"""Stores of all three kinds for tests; PostgreSQL where a server answers."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest

from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Store

# A server that these tests may make databases on; another one is named by the variable.
SERVER = os.environ.get("ASTRIA_TEST_POSTGRES", "postgresql://127.0.0.1:5432/postgres")


@cache
def server_problem() -> str | None:
    """Why PostgreSQL cannot be tested; None where it can."""
    try:
        import psycopg
    except ImportError:
        return "psycopg is not installed"
    try:
        psycopg.connect(SERVER, connect_timeout=60).close()
    except psycopg.OperationalError as error:
        return f"no PostgreSQL answers at {SERVER.rpartition('@')[2]}: {str(error).strip()[:200]}"
    return None


@contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of a new database, which is dropped afterwards; skips where there is no server."""
    if problem := server_problem():
        pytest.skip(problem)
    name = f"astria_test_{uuid4().hex[:12]}"
    execute(f"CREATE DATABASE {name}")
    try:
        yield f"{SERVER.rpartition('/')[0]}/{name}"
    finally:
        execute(f"DROP DATABASE {name} WITH (FORCE)")


def execute(statement: str) -> None:
    import psycopg

    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def memory_store() -> Iterator[Store]:
    yield MemoryStore()


@contextmanager
def sqlite_store(folder: str = "") -> Iterator[Store]:
    from astria_emulator.storage.sql.sqlite import Sqlite
    from astria_emulator.storage.sql.store import SqlStore

    with tempfile.TemporaryDirectory() as made:
        store = SqlStore(Sqlite(Path(folder or made)))
        yield store
        store.close()


@contextmanager
def postgres_store(url: str = "") -> Iterator[Store]:
    from astria_emulator.storage.sql.postgres import Postgres
    from astria_emulator.storage.sql.store import SqlStore

    if not url:
        with postgres_database() as made, postgres_store(made) as store:
            yield store
        return
    store = SqlStore(Postgres(url))
    yield store
    store.close()


STORES: Mapping[str, Callable[..., AbstractContextManager[Store]]] = {
    "memory": memory_store,
    "sqlite": sqlite_store,
    "postgres": postgres_store,
}
