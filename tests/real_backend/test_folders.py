"""Folders of the server's side: what goes, when, and what stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astria_emulator import SetupError
from astria_emulator.storage.own_folders import MARKER
from astria_real_backend.server_side.folders import Folders
from astria_real_backend.server_side.settings import Settings, read_settings
from astria_real_backend.server_side.speeds import Speeds


def files(folder: Path) -> set[str]:
    """The names of all files, without markers of folders."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {path.relative_to(folder).as_posix() for path in found}


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    opened = Folders("", str(tmp_path))
    yield opened
    opened.close()


def test_room_of_a_tune_is_its_own_even_after_a_reset(folders: Folders) -> None:
    first, second = folders.of_tune(5, 1), folders.of_tune(5, 2)
    assert first != second
    assert folders.of_tune(5, 1) == first
    folders.of_tune(55, 3)
    folders.forget(5)
    assert [room.name for room in first.parent.iterdir()] == ["55-3"]
    folders.forget(None)
    assert [*first.parent.iterdir()] == []


def test_temporary_files_are_erased_with_the_work_however_that_ends(folders: Folders) -> None:
    def fail() -> None:
        with folders.temporary("pictures") as folder:
            (folder / "1").write_bytes(b"a photograph")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert files(folders.folder) == set()


def test_file_that_is_taken_outlives_its_room(folders: Folders) -> None:
    file = folders.of_tune(1, 1) / "adapter.safetensors"
    file.write_bytes(b"weights")
    taken = folders.take(file)
    folders.forget(1)
    assert taken.read_bytes() == b"weights"


def test_sweep_erases_what_a_killed_server_has_left_and_no_more(tmp_path: Path) -> None:
    killed, other, folders = (Folders("", str(tmp_path)) for _ in range(3))
    for one in (killed, other):
        with one._run.path.joinpath("1.jpg").open("w") as file:
            file.write("a photograph")
    for tune_id in (1, 2):
        (folders.of_tune(tune_id, 7) / "checkpoint.safetensors").write_bytes(b"weights")
    marker = killed._run.path / MARKER
    text = marker.read_text()
    marker.unlink()  # as of a process that has ended, it is not locked
    marker.write_text(text)
    folders.sweep(lambda tune_id, uid: (tune_id, uid) == (1, 7))
    run = other._run.path.name
    assert files(folders.folder) == {f"{run}/1.jpg", "tunes/1-7/checkpoint.safetensors"}


def test_folder_of_a_run_goes_and_what_is_kept_stays(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    temporary, lasting = Folders("", ""), Folders("", data)
    named, both = Folders(str(tmp_path / "named"), ""), Folders(str(tmp_path / "both"), data)
    for one in (temporary, lasting, named, both):
        one.of_tune(1, 1)
        one.classes.mkdir()
        one.close()
    assert not temporary.folder.exists()
    assert {path.name for path in lasting.folder.iterdir()} == {MARKER, "classes", "tunes"}
    assert {path.name for path in named.folder.iterdir()} == {MARKER, "classes"}
    assert [path.name for path in both.folder.glob("tunes-*/*")] == ["1-1"]


def test_tunes_of_two_servers_that_share_a_folder_are_apart(tmp_path: Path) -> None:
    one, other = (Folders(str(tmp_path / "big"), str(tmp_path / name)) for name in "ab")
    for folders in (one, other):
        folders.of_tune(1, 1)
    one.forget(None)
    one.sweep(lambda tune_id, uid: False)
    assert len([*other.folder.glob("tunes-*/1-1")]) == 1


@pytest.mark.parametrize("kind", ["pictures", "drawn", "made", "tunes", "classes"])
@pytest.mark.parametrize(("folder", "data"), [("proj", ""), ("", "."), ("proj", "d")])
def test_folder_of_a_user_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, folder: str, data: str
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / (folder or "real")
    (root / kind).mkdir(parents=True)
    (root / kind / "holiday.jpg").write_text("x")
    with pytest.raises(SetupError, match="is not ours"):
        Folders(folder, data)
    assert files(root) == {f"{kind}/holiday.jpg"}


def test_folder_of_version_0_1_0_becomes_ours(tmp_path: Path) -> None:
    for name in (
        f"pictures/{'0' * 32}/all/0", f"drawn/{'1' * 32}/0.jpg", f"made/{'2' * 32}-adapter.x",
        "tunes/5000001-7/checkpoint.safetensors", f"classes/woman-{'0' * 16}/0.safetensors",
        "speeds.json",
    ):  # fmt: skip
        (tmp_path / "real" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "real" / name).write_text("{}")
    folders = Folders("", str(tmp_path))
    folders.close()
    assert files(folders.folder) == {
        "speeds.json", "tunes/5000001-7/checkpoint.safetensors",
        f"classes/woman-{'0' * 16}/0.safetensors",
    }  # fmt: skip


# -- settings and speeds ---------------------------------------------------------------------------
def test_settings_are_read_by_their_kinds() -> None:
    given = ("toy=true", "threads=3", "limit-minutes=1.5", "devices=cuda:0+cuda:1")
    expected = Settings(toy=True, threads=3, limit_minutes=1.5, devices="cuda:0+cuda:1")
    assert read_settings(given) == expected
    assert expected.device_names == ("cuda:0", "cuda:1")


@pytest.mark.parametrize(
    "pair",
    [
        "toy=yes", "threads=0", "tries=-1", "most-steps=-1", "devices=cudaX", "restorer=mend",
        "toy", "checkpoint-steps=0", "limit-minutes=nan",
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(pair: str) -> None:
    with pytest.raises(SetupError, match=pair.partition("=")[0]):
        read_settings([pair])


@pytest.mark.parametrize("kept", ["", "[]", "{", '{"step": "x"}', '{"a": null}'])
def test_speeds_begin_with_a_guess_whatever_the_file_holds(tmp_path: Path, kept: str) -> None:
    (tmp_path / "speeds.json").write_text(kept)
    assert Speeds(tmp_path / "speeds.json").train_seconds("lora", 100) == 35.0


def test_speeds_are_learned_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "speeds.json"
    report = {"seconds": {"training": 100.0, "saving": 4.0}, "seconds_per_step": 1.0}
    Speeds(path).note_training("lora", report)
    assert Speeds(path).train_seconds("lora", 10) == 14.0
    assert Speeds(path).train_seconds("pti", 0) == 10.0
    Speeds(path).note_prompt(4, 8.0)
    assert Speeds(path).prompt_seconds(2) == 4.0
