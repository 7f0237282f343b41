"""Nothing is erased or moved that lies in no folder of ours."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import astria_contracts
import astria_emulator
import astria_real_backend
from astria_emulator.errors import SetupError
from astria_emulator.storage.own_folders import (
    MARKER,
    NotOurs,
    TempFolder,
    claim,
    erase,
    erase_abandoned,
    is_ours,
    move,
    publish_file,
    publish_folder,
)
from tests.import_graph import ImportGraph

PREFIX = "astria-state-"
ERASING = {"rmtree", "unlink", "rename", "renames", "rmdir", "removedirs", "move"}
MODULES, OF_MODULES = {"os", "shutil"}, {*ERASING, "remove", "replace"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of ours, with a file."""
    folder = tmp_path / "own"
    claim(folder, "--data")
    (folder / "a").write_text("x")
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# -- whose a folder is -----------------------------------------------------------------------------
def test_new_or_empty_folder_becomes_ours_and_stays_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/inner", "empty"):
        claim(tmp_path / name, "--data")
        assert not is_ours(tmp_path / name)  # it may be emptied, but stays
        assert is_ours(tmp_path / name / "file")
    assert names(tmp_path / "empty") == {MARKER}


def test_folder_of_others_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("x")
    (tmp_path / "more").mkdir()
    with pytest.raises(SetupError, match=r"--data(.|\n)*'holiday.jpg' and 1 more"):
        claim(tmp_path, "--data")
    assert names(tmp_path) == {"holiday.jpg", "more"}


def test_marker_of_others_does_not_count(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_bytes(b"\xff")
    (tmp_path / "a").write_text("x")
    with pytest.raises(SetupError):
        claim(tmp_path, "--data")
    with pytest.raises(NotOurs):
        erase(tmp_path / "a")


def test_folder_of_an_earlier_version_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    claim(tmp_path, "--data", is_ours=lambda path: path.name == "known")
    assert is_ours(tmp_path / "known")


def test_kill_while_a_folder_becomes_ours_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / f"{MARKER}-123").write_text("half")
    claim(tmp_path, "--data")
    assert is_ours(tmp_path / "a")


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "inner"):
        with pytest.raises(SetupError):
            claim(path, "--data")


# -- erasing and moving ----------------------------------------------------------------------------
def test_what_is_ours_is_erased(own: Path) -> None:
    (own / "folder" / "inner").mkdir(parents=True)
    (own / "folder" / "inner" / "b").write_text("x")
    erase(own / "folder")
    erase(own / "a")
    erase(own / "a")  # it is gone already
    assert names(own) == {MARKER}


def test_what_is_not_ours_is_neither_erased_nor_moved(own: Path) -> None:
    other = own.parent / "b"
    other.write_text("x")
    for path in (other, own, own / ".." / "b"):
        with pytest.raises(NotOurs):
            erase(path)
    for path, target in ((other, own / "c"), (own / "a", other)):
        with pytest.raises(NotOurs):
            move(path, target)
    with pytest.raises(NotOurs):
        publish_folder(other, own / "d")
    assert names(own.parent) == {"b", "own", "own/a", f"own/{MARKER}"}


def test_links_lead_to_nothing_that_is_erased(own: Path) -> None:
    others = own.parent / "others"
    others.mkdir()
    (others / "b").write_text("x")
    (own / "link").symlink_to(others)
    (own / "folder").mkdir()
    (own / "folder" / "link").symlink_to(others)
    with pytest.raises(NotOurs):
        erase(own / "link" / "b")
    erase(own / "folder")
    erase(own / "link")
    assert (names(others), names(own)) == ({"b"}, {"a", MARKER})


def test_file_moves_within_our_folders(own: Path) -> None:
    (own / "b").write_text("y")
    assert move(own / "a", own / "b").read_text() == "x"
    assert names(own) == {"b", MARKER}


def test_published_file_is_whole_or_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_file(tmp_path / "ready", "1", mode=0o644)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        publish_file(tmp_path / "ready", "2", mode=0o644)
    assert (names(tmp_path), (tmp_path / "ready").read_text()) == ({"ready"}, "1")


def test_published_folder_takes_nobodys_place(tmp_path: Path) -> None:
    draft = TempFolder(".draft-", parent=tmp_path)
    (draft.path / "new").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "b").write_text("x")
    with pytest.raises(OSError, match="not empty"):
        publish_folder(draft.path / "new", tmp_path / "taken")
    publish_folder(draft.path / "new", tmp_path / "free")
    assert (tmp_path / "free").is_dir()
    assert names(tmp_path / "taken") == {"b"}


# -- temporary folders -----------------------------------------------------------------------------
def test_temporary_folder_is_erased_with_its_object(tmp_path: Path) -> None:
    folders = [TempFolder(PREFIX, parent=tmp_path) for _ in range(2)]
    (folders[0].path / "photo").write_text("x")
    folders[0].erase()
    del folders[1]
    assert names(tmp_path) == set()


def test_abandoned_folder_is_erased_and_one_in_use_is_not(tmp_path: Path) -> None:
    used = TempFolder(PREFIX, parent=tmp_path)
    (tmp_path / f"{PREFIX}of-a-user").mkdir()
    (tmp_path / f"{PREFIX}of-a-user" / "photo").write_text("x")
    script = (
        "import os, sys; from pathlib import Path;"
        "from astria_emulator.storage.own_folders import TempFolder;"
        f"folder = TempFolder({PREFIX!r}, parent=Path(sys.argv[1]));"
        "(folder.path / 'photo').write_text('x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-P", "-c", script, str(tmp_path)], check=False)
    assert len(list(tmp_path.glob("*/photo"))) == 2
    for _ in range(2):
        erase_abandoned(tmp_path, [PREFIX])
        assert {path.name for path in tmp_path.iterdir()} == {used.path.name, f"{PREFIX}of-a-user"}


@pytest.mark.parametrize("inside", [(), (f"{MARKER}-1",), ("photo",)])
def test_folder_without_a_marker_is_erased_only_if_it_is_old_and_empty(
    tmp_path: Path, inside: tuple[str, ...]
) -> None:
    """As of a process that was killed before it wrote the marker."""
    folder = tmp_path / f"{PREFIX}a"
    folder.mkdir()
    for name in inside:
        (folder / name).write_text("x")
    erase_abandoned(tmp_path, [PREFIX])
    assert folder.exists()
    os.utime(folder, (1, 1))
    erase_abandoned(tmp_path, [PREFIX])
    assert folder.exists() is (inside == ("photo",))


def test_folders_and_markers_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        claim(tmp_path / "own", "--data")
        temporary = TempFolder(PREFIX, parent=tmp_path)
    finally:
        os.umask(before)
    for folder in (tmp_path / "own", temporary.path):
        assert [path.stat().st_mode & 0o777 for path in (folder, folder / MARKER)] == [0o700, 0o600]


# -- the one place ---------------------------------------------------------------------------------
def erases(node: ast.AST) -> bool:
    """Whether a node may erase or move a file: a call, or a function that is handed on."""
    if isinstance(node, ast.ImportFrom):
        return node.module in MODULES and bool({name.name for name in node.names} & OF_MODULES)
    if isinstance(node, ast.Attribute):
        is_of_module = isinstance(node.value, ast.Name) and node.value.id in MODULES
        return node.attr in ERASING or (is_of_module and node.attr in OF_MODULES)
    # `path.replace(other)`, unlike that of text, times and data classes, has one plain argument.
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "replace"
        and (len(node.args), len(node.keywords)) == (1, 0)
    )


@pytest.mark.parametrize("package", [astria_emulator, astria_contracts, astria_real_backend])
def test_no_other_place_erases_or_moves(package: object) -> None:
    graph = ImportGraph(package)  # type: ignore[arg-type]
    found = {
        f"{module}:{node.lineno}"  # type: ignore[attr-defined]
        for module, tree in graph.sources.items()
        if module != "storage.own_folders"
        for node in ast.walk(tree)
        if erases(node)
    }
    assert found == set()
