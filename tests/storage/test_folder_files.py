"""Files on disk: they go by the store's transactions, and nothing is left that no row names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from astria_emulator.storage.files import File
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.memory_files import MemoryFiles
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Store
from tests.databases import sqlite_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(str(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def files(store: Store, folder: Path) -> FolderFiles:
    return FolderFiles(store, 0, folder)


def on_disk(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*"))


def test_keys_are_those_of_files_in_memory(files: FolderFiles) -> None:
    memory = MemoryFiles(MemoryStore(), 0)
    for content in (b"bytes", {"picture": {"seed": 1}}):
        assert files.put("p/1", "image/png", content) == memory.put("p/1", "image/png", content)


def test_bytes_are_on_the_disk_and_recipes_are_not(files: FolderFiles, folder: Path) -> None:
    photo = files.put("p/1", "image/png", b"bytes")
    recipe = files.put("p/2", "image/jpeg", {"picture": {"seed": 1}})
    path = folder / photo[:2] / photo
    assert files.get(photo) == File(photo, "image/png", path=path)
    assert path.read_bytes() == b"bytes"
    assert files.get(recipe) == File(recipe, "image/jpeg", recipe={"picture": {"seed": 1}})
    assert on_disk(folder) == [photo]
    assert files.get("0" * 28) is None


def test_what_a_failed_transaction_has_put_is_gone_and_what_it_deleted_is_there(
    files: FolderFiles, store: Store, folder: Path
) -> None:
    kept = files.put("p/1", "image/png", b"kept")

    def fail() -> None:
        with store.transaction():
            files.put("p/2", "image/png", b"new")
            files.delete([kept])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert on_disk(folder) == [kept]
    found = files.get(kept)
    assert found is not None
    assert found.content == b"kept"


def test_deleted_file_is_erased_once_its_transaction_has_succeeded(
    files: FolderFiles, store: Store, folder: Path
) -> None:
    keys = [files.put(f"p/{index}", "image/png", b"x") for index in range(2)]
    with store.transaction():
        files.delete([keys[0], "unknown"])
        assert files.get(keys[0]) is None
        assert len(on_disk(folder)) == 2
    assert on_disk(folder) == [keys[1]]


def test_reset_erases_everything_or_nothing(files: FolderFiles, store: Store, folder: Path) -> None:
    def reset(*, fails: bool) -> None:
        with store.transaction():
            store.reset()
            files.reset()
            if fails:
                raise KeyError

    key = files.put("p/1", "image/png", b"x")
    with pytest.raises(KeyError):
        reset(fails=True)
    assert on_disk(folder) == [key]
    reset(fails=False)
    assert (on_disk(folder), files.get(key)) == ([], None)
    assert [path.name for path in folder.parent.glob("files*")] == []
    assert files.put("p/1", "image/png", b"x") == key
    assert on_disk(folder) == [key]


def test_sweep_erases_old_bytes_that_no_row_names(files: FolderFiles, folder: Path) -> None:
    named = files.put("p/1", "image/png", b"x")
    old, new = named[:2] + "0" * 26, named[:2] + "1" * 26
    for key, age in ((named, 100), (old, 100), (new, 300)):
        (folder / key[:2] / key).write_bytes(b"x")
        os.utime(folder / key[:2] / key, (age, age))
    (folder / "of others").mkdir()
    (folder / "of others" / "readme.txt").write_text("")
    aside = folder.with_name("files-erased-1")
    aside.mkdir()
    assert files.sweep(200) == 1
    assert on_disk(folder) == sorted([named, new, "readme.txt"])
    assert not aside.exists()


def test_reset_that_was_killed_leaves_the_files_of_its_rows(
    files: FolderFiles, folder: Path
) -> None:
    key = files.put("p/1", "image/png", b"x")
    folder.rename(folder.with_name("files-erased-1"))  # and then the process ended
    files.sweep(0)
    assert on_disk(folder) == [key]
    assert [path.name for path in folder.parent.glob("files*")] == ["files"]


def test_failed_transaction_leaves_the_file_that_another_one_has_made_since(
    files: FolderFiles, store: Store, folder: Path
) -> None:
    def fail() -> None:
        with store.transaction():
            store.on_rollback(lambda: files.put("p/1", "image/png", b"x"))  # the other one
            files.put("p/1", "image/png", b"x")
            store._transactions.work.on_rollback.reverse()  # type: ignore[attr-defined]  # the other one is first
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(on_disk(folder)) == 1


def test_file_on_disk_moves_in_when_the_transaction_ends_well(
    files: FolderFiles, store: Store, folder: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"weights")

    def put_and_fail() -> None:
        with store.transaction():
            files.put("p/1", "", made)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        put_and_fail()
    assert (made.read_bytes(), on_disk(folder)) == (b"weights", [])
    key = files.put("p/1", "", made)
    assert (made.exists(), on_disk(folder)) == (False, [key])
    kept = files.get(key)
    assert kept is not None
    assert kept.content == b"weights"


def test_files_that_are_held_can_be_read_whatever_becomes_of_them(
    files: FolderFiles, store: Store, folder: Path
) -> None:
    keys = {files.put("p/1", "a/b", b"x"), files.put("p/2", "", {"clip": "1:1"})}
    held = files.hold()
    with store.transaction():
        store.reset()
        files.reset()
    assert on_disk(folder) == []
    assert {file.key for file in held.files} == keys
    assert [file.content for file in held.files if file.path] == [b"x"]
    del held
    assert [path.name for path in folder.parent.glob("files*")] == []


def test_bytes_that_are_gone_are_not_held(
    files: FolderFiles, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = files.put("p/1", "a/b", b"x")
    (folder / key[:2] / key).unlink()
    assert files.hold().files == []
    assert key in caplog.text


def test_restored_file_has_the_key_that_it_had(files: FolderFiles, folder: Path) -> None:
    for file in (File("0" * 28, "a/b", data=b"x"), File("1" * 28, "a/b", recipe={"clip": "1:1"})):
        files.restore(file)
        found = files.get(file.key)
        assert found
        assert (found.content, found.content_type) == (file.content, "a/b")
    assert on_disk(folder) == ["0" * 28]


def test_restore_that_fails_leaves_the_files_of_before(
    files: FolderFiles, store: Store, folder: Path, tmp_path: Path
) -> None:
    key = files.put("p/1", "image/png", b"x")
    held = files.hold()

    def fail() -> None:
        with store.transaction():
            store.reset()
            files.reset()
            files.restore(held.files[0])  # of the same key
            files.restore(File("0" * 28, "", data=b"new"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert on_disk(folder) == [key]
    found = files.get(key)
    assert found
    assert found.content == b"x"
    assert [path.name for path in folder.parent.glob("files-erased*")] == []


def test_sweep_erases_what_a_killed_server_has_held(files: FolderFiles, folder: Path) -> None:
    files.put("p/1", "image/png", b"x")
    held, left = files.hold(), folder.with_name("files-held-1")
    left.mkdir()
    os.utime(left, (100, 100))
    files.sweep(200)
    assert not left.exists()
    assert [file.content for file in held.files] == [b"x"]
