"""Tables of an earlier version are upgraded where they are."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from astria_emulator.errors import SetupError
from astria_emulator.storage.refs import ENDED
from astria_emulator.storage.sql import tables
from astria_emulator.storage.sql.postgres import Postgres
from astria_emulator.storage.sql.records import ref_text
from astria_emulator.storage.sql.sqlite import FILE_NAME
from astria_emulator.storage.store import CALLBACKS, Query, Store, Turn
from tests.databases import postgres_database, postgres_store, sqlite_store
from tests.storage.store_cases import NOW

WRITTEN = Path(__file__).with_name("version_0_1_0")
DELIVERY = {"object": "tune", "object_id": 1, "url": "http://a.test", "body": {}, "at": NOW}
# Leads from version 2 back to version 1.
BACK = (
    "DROP INDEX astria_jobs_by_receiver",
    "ALTER TABLE astria_jobs DROP COLUMN receiver",
    f"DELETE FROM astria_refs WHERE ref = '{ref_text(ENDED)}'",
    """UPDATE astria_rows SET refs = '[]' WHERE refs = '["ended"]'""",
    "UPDATE astria_counters SET value = 1 WHERE name = 'schema'",
)
Opened = Callable[[], Any]


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    yield engine
    engine.dispose()


def run(url: str, *statements: str) -> None:
    with engine_of(url) as engine, engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def schema_of(url: str) -> dict[str, Any]:
    """Columns and indexes by table; and the version."""
    with engine_of(url) as engine:
        found = inspect(engine)
        schema: dict[str, Any] = {
            name: (
                sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)),
                sorted((i["name"], i["column_names"]) for i in found.get_indexes(name)),
            )
            for name in found.get_table_names()
        }
        with engine.begin() as connection:
            version = text("SELECT value FROM astria_counters WHERE name = 'schema'")
            return schema | {"version": connection.scalar(version)}


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Opened]]:
    """The URL of a database, and what opens a store in it."""
    with ExitStack() as opened:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / FILE_NAME}"
            yield url, lambda: sqlite_store(str(tmp_path))
        else:
            url = opened.enter_context(postgres_database())
            yield url, lambda: postgres_store(url)


def fill(store: Store) -> None:
    """Store two deliveries that have ended, and one that waits."""
    for refs in ((ENDED,), (ENDED,), ("open:tune:1",)):
        row = store.insert("delivery", None, {**DELIVERY, "state": "recorded"}, refs=refs)
    store.add_job("send_callback", row, NOW)


def test_work_and_log_of_version_1_go_on(database: tuple[str, Opened]) -> None:
    url, opened = database
    with opened() as store:
        fill(store)
    new = schema_of(url)
    run(url, *BACK)
    assert schema_of(url) != new
    for _ in range(2):
        with opened() as store:
            assert [row.id for row in store.find("delivery", Query(None, ref=ENDED))] == [2, 1]
            assert [row.refs for row in store.find("delivery", Query(None))] == [
                ("open:tune:1",),
                (ENDED,),
                (ENDED,),
            ]
            job = store.next_in_turn(CALLBACKS, Turn())
            assert (job.target, job.receiver) == (3, "")
        assert schema_of(url) == new


def test_tables_of_version_0_1_0_become_those_of_today(tmp_path: Path) -> None:
    shutil.unpack_archive(WRITTEN / "data.zip", tmp_path / "old")
    schemas = []
    for name in ("old", "new"):
        with sqlite_store(str(tmp_path / name)):
            pass
        schemas.append(schema_of(f"sqlite:///{tmp_path / name / FILE_NAME}"))
    assert schemas[0] == schemas[1]


def test_upgrade_that_fails_changes_nothing(
    database: tuple[str, Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, opened = database
    with opened() as store:
        fill(store)
    run(url, *BACK)
    old = schema_of(url)
    with monkeypatch.context() as patch:
        patch.setitem(tables.UPGRADES, 2, (*tables.UPGRADES[2], "SELECT * FROM nowhere"))
        with pytest.raises(SetupError, match="nowhere"), opened():
            pass
    assert schema_of(url) == old
    with opened() as store:
        assert len(store.find("delivery", Query(None, ref=ENDED))) == 2


def test_servers_that_start_at_once_upgrade_once() -> None:
    with postgres_database() as url:
        with postgres_store(url) as store:
            fill(store)
        run(url, *BACK)
        opened: list[Postgres] = []
        threads = [threading.Thread(target=lambda: opened.append(Postgres(url))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(opened) == 4
        for database in opened:
            database.close()
        assert schema_of(url)["version"] == tables.SCHEMA


def test_every_version_has_an_upgrade() -> None:
    assert [*tables.UPGRADES] == [*range(2, tables.SCHEMA + 1)]
