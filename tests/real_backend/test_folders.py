"""Folders of the server's side: what goes, when, and what stays."""

import os
import tempfile
from pathlib import Path

import pytest

from astria_emulator import SetupError
from astria_real_backend.server_side.folders import STALE_SECONDS, Folders
from astria_real_backend.server_side.settings import Settings, read_settings
from astria_real_backend.server_side.speeds import Speeds


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders.of("", str(tmp_path))


def test_room_of_a_tune_is_its_own_even_after_a_reset(folders: Folders) -> None:
    first, second = folders.of_tune(5, 1), folders.of_tune(5, 2)
    assert first != second
    assert folders.of_tune(5, 1) == first
    folders.of_tune(55, 3)
    folders.forget(5)
    assert [room.name for room in first.parent.iterdir()] == ["55-3"]
    folders.forget(None)
    assert [*first.parent.iterdir()] == []


def test_what_passes_goes_with_the_work_however_that_ends(folders: Folders) -> None:
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


def test_sweep_erases_what_a_crash_has_left_and_no_more(folders: Folders) -> None:
    with folders.temporary("drawn") as new:
        (new / "0.jpg").write_bytes(b"new")
        old = folders.folder / "pictures" / "old"
        old.mkdir(parents=True)
        (old / "1").write_bytes(b"old")
        before = old.stat().st_mtime - STALE_SECONDS - 1
        os.utime(old, (before, before))
        (folders.of_tune(1, 1) / "checkpoint.safetensors").write_bytes(b"kept")
        folders.sweep()
        assert {Path(name).name for name in files(folders.folder)} == {
            "0.jpg", "checkpoint.safetensors",
        }  # fmt: skip


def test_folder_of_this_time_goes_and_one_that_lasts_stays(tmp_path: Path) -> None:
    temporary, lasting = Folders.of("", ""), Folders.of("", str(tmp_path / "data"))
    named = Folders.of(str(tmp_path / "named"), "")
    for one in (temporary, lasting, named):
        one.of_tune(1, 1)
        one.classes.mkdir()
        one.close()
    assert not temporary.folder.exists()
    assert (lasting.folder / "tunes" / "1-1").is_dir()
    assert [path.name for path in named.folder.iterdir()] == ["classes"]


def test_temporary_folder_of_a_process_that_was_killed_is_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive = tmp_path / "astria-real-99999999-a", tmp_path / f"astria-real-{os.getpid()}-b"
    dead.mkdir()
    alive.mkdir()
    made = Folders.of("", "")
    assert {path.name for path in tmp_path.iterdir()} == {alive.name, made.folder.name}


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
