"""Files on disk: they go by the store's transactions, and nothing is left that no row names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astria_emulator.errors import SetupError
from astria_emulator.storage import folder_files
from astria_emulator.storage.files import File
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.memory_files import MemoryFiles
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.own_folders import claim
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
    """The keys of the files whose bytes are there."""
    return sorted(path.name.partition("-")[0] for path in folder.glob("*/*"))


def path_of(files: FolderFiles, key: str) -> Path:
    file = files.get(key)
    assert file
    assert file.path
    return file.path


def test_keys_are_those_of_files_in_memory(files: FolderFiles) -> None:
    memory = MemoryFiles(MemoryStore(), 0)
    for content in (b"bytes", {"picture": {"seed": 1}}):
        assert files.put("p/1", "image/png", content) == memory.put("p/1", "image/png", content)


def test_bytes_are_on_the_disk_and_recipes_are_not(files: FolderFiles, folder: Path) -> None:
    photo = files.put("p/1", "image/png", b"bytes")
    recipe = files.put("p/2", "image/jpeg", {"picture": {"seed": 1}})
    path = path_of(files, photo)
    assert path.parent == folder / photo[:2]
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
            files.reset()
            store.reset()
            if fails:
                raise KeyError

    key = files.put("p/1", "image/png", b"x")
    with pytest.raises(KeyError):
        reset(fails=True)
    assert on_disk(folder) == [key]
    reset(fails=False)
    assert (on_disk(folder), files.get(key)) == ([], None)
    assert files.put("p/1", "image/png", b"x") == key
    assert on_disk(folder) == [key]


def test_sweep_erases_bytes_that_no_row_names(files: FolderFiles, folder: Path) -> None:
    named = files.put("p/1", "image/png", b"x")
    name = path_of(files, named).name
    for unnamed in (name[:-1] + "-", "0" * 28, name[:2] + "0" * 26 + "-0123456789abcdef"):
        (folder / unnamed[:2]).mkdir(exist_ok=True)
        (folder / unnamed[:2] / unnamed).write_bytes(b"x")
    (folder / "of others").mkdir()
    (folder / "of others" / "readme.txt").write_text("")
    assert files.sweep() == 3
    assert on_disk(folder) == sorted([named, "readme.txt"])


def test_killed_restore_leaves_the_files_of_the_rows_at_once(
    files: FolderFiles, store: Store, folder: Path
) -> None:
    """Nothing is to be brought back: what the rows name is there at every moment."""

    def restore() -> None:
        with store.transaction():
            files.reset()
            store.reset()
            files.restore(File(key, "image/png", data=b"new"))  # other bytes under the same key
            assert sorted(path.read_bytes() for path in folder.glob("*/*")) == [b"new", b"old"]
            raise KeyError

    key = files.put("p/1", "image/png", b"old")
    with pytest.raises(KeyError):
        restore()
    assert path_of(files, key).read_bytes() == b"old"


def test_killed_reset_leaves_bytes_that_the_sweep_erases(
    files: FolderFiles, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.put("p/1", "image/png", b"x")
    with monkeypatch.context() as killed:
        killed.setattr(folder_files, "erase", lambda path: None)
        with store.transaction():
            files.reset()
            store.reset()
    assert len(on_disk(folder)) == 1
    assert files.sweep() == 1
    assert on_disk(folder) == []


def test_folder_that_a_user_fills_is_refused(store: Store, folder: Path) -> None:
    for name in ("holiday.jpg", "ab/holiday.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
        with pytest.raises(SetupError, match="is not ours"):
            FolderFiles(store, 0, folder)
        assert (folder / name).read_text() == "x"
        (folder / name).unlink()


def test_files_of_a_user_that_came_later_stay(
    files: FolderFiles, store: Store, folder: Path
) -> None:
    files.put("p/1", "image/png", b"x")
    (folder / "holiday.jpg").write_text("x")
    with store.transaction():
        files.reset()
        store.reset()
    files.sweep()
    assert (on_disk(folder), (folder / "holiday.jpg").read_text()) == ([], "x")


def test_files_of_version_0_1_0_are_read_and_erased(store: Store, folder: Path) -> None:
    """It wrote no marker, and bytes by their key."""
    key, unnamed = "ab" + "0" * 26, "ab" + "1" * 26
    (folder / "ab").mkdir(parents=True)
    for name in (key, unnamed):
        (folder / "ab" / name).write_bytes(b"x")
    fields = {"key": key, "content_type": "image/png", "recipe": None}
    store.insert("file", None, fields, refs=(key,))
    files = FolderFiles(store, 0, folder)
    assert files.sweep() == 1
    assert path_of(files, key).read_bytes() == b"x"
    files.delete([key])
    assert on_disk(folder) == []


def test_file_on_disk_moves_in_when_the_transaction_ends_well(
    files: FolderFiles, store: Store, folder: Path, tmp_path: Path
) -> None:
    claim(tmp_path / "backend", "")
    made = tmp_path / "backend" / "made"
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


def test_file_of_others_on_disk_is_copied_and_stays(files: FolderFiles, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    files.delete([files.put("p/1", "", weights)])
    assert weights.read_bytes() == b"weights"
    weights.unlink()
    with pytest.raises(FileNotFoundError):
        files.put("p/1", "", weights)


def test_files_that_are_held_can_be_read_whatever_becomes_of_them(
    files: FolderFiles, store: Store, folder: Path
) -> None:
    keys = {files.put("p/1", "a/b", b"x"), files.put("p/2", "", {"clip": "1:1"})}
    held = files.hold()
    with store.transaction():
        files.reset()
        store.reset()
    assert on_disk(folder) == []
    assert {file.key for file in held.files} == keys
    assert [file.content for file in held.files if file.path] == [b"x"]
    del held
    assert [path.name for path in folder.parent.glob("files*")] == ["files"]


def test_bytes_that_are_gone_are_not_held(
    files: FolderFiles, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = files.put("p/1", "a/b", b"x")
    path_of(files, key).unlink()
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
            files.reset()
            store.reset()
            files.restore(held.files[0])  # of the same key
            files.restore(File("0" * 28, "", data=b"new"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert on_disk(folder) == [key]
    found = files.get(key)
    assert found
    assert found.content == b"x"
