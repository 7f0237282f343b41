"""How the databases are opened: by one process or by many, and by none that is too old."""

import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from astria_emulator import Config
from astria_emulator.assembly import open_store
from astria_emulator.clock import VirtualClock
from astria_emulator.errors import SetupError
from astria_emulator.storage.sql.postgres import Postgres
from astria_emulator.storage.sql.sqlite import FILE_NAME, Sqlite
from astria_emulator.storage.sql.store import SqlStore
from astria_emulator.storage.sql.tables import SCHEMA
from astria_emulator.storage.store import Query
from tests.databases import execute, postgres_database, postgres_store, sqlite_store

NOON = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)


def problem_of(act: object, *args: object) -> str:
    with pytest.raises(SetupError) as refused:
        act(*args)  # type: ignore[operator]
    return str(refused.value)


# -- that do not answer ----------------------------------------------------------------------------
def test_full_disk_gives_503_and_what_comes_later_is_stored(tmp_path: Path, make_app: Any) -> None:
    app = make_app(clock="", data=str(tmp_path))
    client, headers = app.test_client(), {"Authorization": "Bearer sd_test"}
    long = {f"key {number}": "x" * 1000 for number in range(9)}
    tune = {
        "title": "a",
        "characteristics": long,
        "name": "cat",
        "branch": "fast",
        "image_urls": ["http://x/1"],
    }

    def make() -> Any:
        return client.post("/tunes", json={"tune": tune}, headers=headers)

    database = app.services.store._database
    with database.read() as session:
        [[pages]] = session.rows(text("PRAGMA page_count"))
        session.rows(text(f"PRAGMA max_page_count={pages}"))
    full = make()
    assert (full.status_code, full.json) == (503, {"status": 503, "error": "Service Unavailable"})
    with database.read() as session:
        session.rows(text("PRAGMA max_page_count=1000000"))
    made = make()
    assert made.status_code == 201
    assert [tune["id"] for tune in client.get("/tunes", headers=headers).json] == [made.json["id"]]


def test_database_that_is_gone_gives_503(tmp_path: Path, make_app: Any) -> None:
    with postgres_database() as url:
        app = make_app(clock="", data=str(tmp_path), database=url)
        app.services.runner.stop()  # so that nothing but the request asks
        app.services.heartbeat.stop()
        execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")
        headers = {"Authorization": "Bearer sd_test"}
        for _ in range(2):
            assert app.test_client().get("/tunes", headers=headers).status_code == 503
        execute(f"CREATE DATABASE {url.rpartition('/')[2]}")


# -- SQLite ----------------------------------------------------------------------------------------
def test_folder_is_made_and_keeps_what_was_stored(tmp_path: Path) -> None:
    folder = str(tmp_path / "new" / "folder")
    with sqlite_store(folder) as store:
        row = store.insert("tune", 1, {"title": "a\0\ud800 é"}, refs=("title:a", 7))
        job = store.add_job("train_tune", row, NOON)
    with sqlite_store(folder) as store:
        stored = store.get("tune", row.id)
        assert stored is not None
        assert (dict(stored), stored.refs) == ({"title": "a\0\ud800 é", "id": row.id}, row.refs)
        assert store.find("tune", Query(1, ref="title:a")) == [stored]
        assert store.jobs() == [job]
        assert store.insert("tune", 1, {}).id == row.id + 1


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_database_is_its_owners_only(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    before = os.umask(umask)
    try:
        with sqlite_store(str(folder)) as store:
            store.insert("tune", 1, {})
            made = {path.name: path for path in folder.iterdir()}
            assert made.keys() >= {FILE_NAME, f"{FILE_NAME}-wal"}
            assert {stat.S_IMODE(path.stat().st_mode) for path in made.values()} == {0o600}
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)]
    assert modes == [0o700, 0o700]


def test_database_of_an_earlier_version_is_closed_to_others(tmp_path: Path) -> None:
    with sqlite_store(str(tmp_path)):
        pass
    names = [
        FILE_NAME,
        f"{FILE_NAME}-wal",
        f"{FILE_NAME}-shm",
    ]  # as a process leaves that is killed
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    with sqlite_store(str(tmp_path)):
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_second_process_is_refused_and_the_first_one_goes_on(tmp_path: Path) -> None:
    code = "import pathlib, sys; from astria_emulator.storage.sql.sqlite import Sqlite as Open; "
    code += "Open(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with sqlite_store(str(tmp_path)) as store:
        other = subprocess.run(command, capture_output=True, text=True)
        assert "another server uses this folder, and one may" in other.stderr
        assert store.insert("tune", 1, {}).id
    assert subprocess.run(command).returncode == 0


def test_jobs_that_ran_when_the_process_was_killed_are_taken_up_again(tmp_path: Path) -> None:
    with sqlite_store(str(tmp_path)) as store:
        row = store.insert("tune", 1, {})
        store.add_job("train_tune", row, NOON)
        first = store.claim_job(["work"], None)
    with sqlite_store(str(tmp_path)) as store:
        again = store.claim_job(["work"], None)
        assert first
        assert again
        assert (again.id, again.attempt, again.state) == (first.id, 2, "running")
        assert not store.report(first, {})


def test_job_waits_no_longer_when_the_clock_was_set_back_before_a_start(tmp_path: Path) -> None:
    def waits(noon: datetime, folder: Path) -> list[timedelta]:
        clock = VirtualClock(noon)
        store = SqlStore(Sqlite(folder, clock))
        found = [job.due - clock.now() for job in store.jobs()]
        store.close()
        return found

    minute, day = timedelta(minutes=1), timedelta(days=1)
    store = SqlStore(Sqlite(tmp_path, VirtualClock(NOON)))
    row = store.insert("tune", 1, {})
    for wait in (minute, day):
        store.add_job("train_tune", row, NOON + wait)
    store.close()
    for hours in (1, 1, 3):  # before
        assert waits(NOON - timedelta(hours=hours), tmp_path) == [minute, day]
    assert waits(NOON + minute, tmp_path)[0] < timedelta(0)


def test_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite_store(str(tmp_path)):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE astria_counters SET value = 99 WHERE name = 'schema'"))
    engine.dispose()
    assert problem_of(Sqlite, tmp_path) == (
        "the data is newer than this program:\n"
        f"  - its schema is version 99, and this version of the emulator knows {SCHEMA}"
    )


def test_schema_version_outlives_a_reset(tmp_path: Path) -> None:
    with sqlite_store(str(tmp_path)) as store:
        store.reset()
    with sqlite_store(str(tmp_path)) as store:
        assert store.insert("tune", 1, {}).id


@pytest.mark.parametrize("what", ["a file in its place", "a file that is no database"])
def test_folder_that_cannot_be_used_is_told(what: str, tmp_path: Path) -> None:
    if what == "a file in its place":
        folder = tmp_path / "folder"
        folder.write_text("")
    else:
        folder = tmp_path
        (folder / FILE_NAME).write_text("no database" * 200)
    assert str(folder) in problem_of(Sqlite, folder)


# -- PostgreSQL ------------------------------------------------------------------------------------
def test_database_of_a_newer_version_is_refused() -> None:
    with postgres_database() as url:
        with postgres_store(url):
            pass
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            connection.execute(text("UPDATE astria_counters SET value = 99 WHERE name = 'schema'"))
        engine.dispose()
        assert "schema is version 99" in problem_of(Postgres, url)


def test_processes_that_start_at_once_make_the_tables_once() -> None:
    with postgres_database() as url:
        opened: list[Postgres] = []
        threads = [threading.Thread(target=lambda: opened.append(Postgres(url))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(opened) == 4
        for database in opened:
            database.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret@127.0.0.1:1/name",
        "postgresql://user:secret@",
        "postgresql://user:secret@127.0.0.1:port/name",
    ],
)
def test_database_that_cannot_be_reached_is_told_without_its_password(url: str) -> None:
    pytest.importorskip("psycopg")
    message = problem_of(Postgres, url)
    assert message.startswith("--database:\n  - ")
    assert "secret" not in message


def test_driver_that_is_missing_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "astria-emulator[postgres]" in problem_of(Postgres, "postgresql://127.0.0.1/name")


def test_database_needs_a_folder_for_files() -> None:
    config = Config(database="postgresql://127.0.0.1/name")
    assert "needs --data" in problem_of(open_store, config)
