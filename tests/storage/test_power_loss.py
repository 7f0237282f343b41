"""No row names bytes that a loss of power takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from astria_emulator.errors import Unavailable
from astria_emulator.storage import folder_files
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.sql.session import Session
from astria_emulator.storage.store import Query, Store
from tests.storage.disks import LosingDisk


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, kept_store) -> Store:
    store: Store = kept_store(request.param)
    store.reset()
    return store


def test_what_is_committed_outlives_a_loss_of_power(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FolderFiles(store, 0, tmp_path / "files")
    disk = LosingDisk(monkeypatch, tmp_path / "files")
    for at in range(20):
        files.put(f"p/{at}", "image/png", b"%d" % at)
    with store.transaction():
        keys = [files.put(f"q/{at}", "image/png", b"%d" % at) for at in range(5)]
        files.delete(keys[:1])
    disk.lose_power()
    rows = store.find("file", Query(None))
    assert len(rows) == 24
    for row in rows:
        file = files.get(row["key"])
        assert file
        assert file.content


def test_commit_that_took_effect_and_was_not_confirmed_keeps_its_files(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the database freezes after it has committed."""
    files = FolderFiles(store, 0, tmp_path / "files")
    database = store._database  # type: ignore[attr-defined]
    write = database.write

    @contextmanager
    def unconfirmed() -> Iterator[Session]:
        with write() as session:
            yield session
        monkeypatch.setattr(database, "write", write)
        raise Unavailable

    monkeypatch.setattr(database, "write", unconfirmed)
    with pytest.raises(Unavailable):
        files.put("p/1", "image/png", b"photograph")
    [row] = store.find("file", Query(None))
    file = files.get(row["key"])
    assert file
    assert file.content == b"photograph"


def test_each_file_and_folder_is_synced_once_for_a_request(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FolderFiles(store, 0, tmp_path / "files")
    synced: list[Path] = []
    monkeypatch.setattr(folder_files, "_sync", synced.append)
    for _ in range(2):
        synced.clear()
        with store.transaction():
            for at in range(20):
                files.put(f"p/{at}", "image/png", b"%d" % at)
            assert synced == []
        assert len(synced) == len(set(synced))
        assert sum(path.is_file() for path in synced) == 20


def test_transaction_after_one_that_failed_syncs_its_own_files_only(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_and_fail() -> None:
        with store.transaction():
            files.put("p/1", "image/png", b"lost")
            raise KeyError

    files = FolderFiles(store, 0, tmp_path / "files")
    with pytest.raises(KeyError):
        put_and_fail()
    disk = LosingDisk(monkeypatch, tmp_path / "files")
    key = files.put("p/1", "image/png", b"kept")
    disk.lose_power()
    file = files.get(key)
    assert file
    assert file.content == b"kept"
