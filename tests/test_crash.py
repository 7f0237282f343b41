"""Servers that are attacked under load, a few times; `make crash` does it 600 times."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zipfile import ZipFile

import pytest

from tests import PATIENCE_SECONDS
from tests.databases import server_problem
from tools.crash.checks import (
    DATA,
    DOUBLED,
    LEFT_OVER,
    LOST,
    TEMPORARY,
    compare,
    compare_files,
    compare_with_nothing,
)
from tools.crash.clients import Client
from tools.crash.events import Scene, settle_on
from tools.crash.ledger import UNSURE, Ledger, World, photograph

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("kill during an upload", "import", "restore", "cut clients")


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_nothing_is_lost_or_done_twice_or_left_over(store: str) -> None:
    if store == "postgres" and (problem := server_problem()):
        pytest.skip(problem)
    command = [sys.executable, "-m", "tools.crash", "--store", store, "--only", ",".join(QUICK)]
    done = subprocess.run(
        [*command, "--events", str(len(QUICK))],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost 0, doubled 0, left over 0, wrong 0" in done.stdout


# -- the checks themselves -------------------------------------------------------------------------
TUNE, PROMPT, KEY = 7, 8, "a" * 28


class Shown:
    """What a server shows: one tune with a photograph and two prompts, as it was answered."""

    def __init__(self) -> None:
        self.tunes = [
            {"id": TUNE, "title": "one", "trained_at": "now", "orig_images": ["http://h/p"]}
        ]
        prompt = {"trained_at": "now", "images": ["http://h/i"]}
        self.prompts = [
            {"id": PROMPT, "text": "two", **prompt},
            {"id": 9, "text": "nested in one", **prompt},
        ]
        self.photo = photograph("one")
        self.files: dict[str, Any] = {KEY: {"bytes": 3}, "b" * 28: {"recipe": {}}}

    def ask(self, method: str, path: str) -> Any:
        answer = SimpleNamespace(status_code=200, content=self.photo)
        if path.startswith("/tunes?"):
            answer.json = lambda: [] if "before_id" in path else self.tunes
        elif path.startswith("/tunes/"):
            answer.json = lambda: self.prompts
        elif path == "/_emulator/state":
            out = io.BytesIO()
            with ZipFile(out, "w") as archive:
                tables = {"tune": [{"data": tune} for tune in self.tunes]}
                archive.writestr("state.json", json.dumps({"files": self.files, "tables": tables}))
            answer.content = out.getvalue()
        return answer


def client_of(shown: Shown) -> Client:
    return cast(Client, shown)


def ledger_of_one() -> Ledger:
    ledger = Ledger()
    ledger.add_tune(TUNE, "one", photograph("one"))
    ledger.add_prompt(PROMPT, TUNE, "two")
    ledger.received.update(["/tune/one", "/nested/one", "/prompt/two"])
    return ledger


def lose_callback(shown: Shown, ledger: Ledger) -> None:
    del ledger.received["/prompt/two"]


def delete(shown: Shown, ledger: Ledger) -> None:
    ledger.world.deleting.add(TUNE)
    ledger.world.deleted.add(TUNE)


PLANTED: dict[str, tuple[str, Callable[[Shown, Ledger], object]]] = {
    "a tune that is gone": (LOST, lambda shown, ledger: shown.tunes.clear()),
    "a tune that is another": (LOST, lambda shown, ledger: shown.tunes[0].update(title="else")),
    "a tune without training": (LOST, lambda shown, ledger: shown.tunes[0].update(trained_at=None)),
    "a prompt that is gone": (LOST, lambda shown, ledger: shown.prompts.pop(0)),
    "a prompt without pictures": (LOST, lambda shown, ledger: shown.prompts[0].update(images=[])),
    "a nested prompt that is gone": (LOST, lambda shown, ledger: shown.prompts.pop()),
    "a photograph that is another": (LOST, lambda shown, ledger: setattr(shown, "photo", b"")),
    "a callback that did not come": (LOST, lose_callback),
    "a tune made twice": (
        DOUBLED,
        lambda shown, ledger: shown.tunes.append({**shown.tunes[0], "id": 6}),
    ),
    "a prompt made twice": (
        DOUBLED,
        lambda shown, ledger: shown.prompts.append({**shown.prompts[0], "id": 6}),
    ),
    "a callback that came twice": (
        DOUBLED,
        lambda shown, ledger: ledger.received.update(["/tune/one"]),
    ),
    "a deleted tune that is there": (LEFT_OVER, delete),
    "a tune that nobody made": (
        LEFT_OVER,
        lambda shown, ledger: shown.tunes.append({**shown.tunes[0], "id": 6, "title": "x"}),
    ),
}


def test_a_world_that_is_whole_has_no_problem() -> None:
    assert list(compare(ledger_of_one(), client_of(Shown()))) == []


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_wrong_is_found(name: str) -> None:
    kind, plant = PLANTED[name]
    shown, ledger = Shown(), ledger_of_one()
    plant(shown, ledger)
    assert kind in {problem.kind for problem in compare(ledger, client_of(shown))}


def test_a_restored_state_sends_only_those_callbacks_again_that_had_not_come() -> None:
    ledger = ledger_of_one()
    lose_callback(Shown(), ledger)
    ledger.adopt(ledger.copy_world())
    ledger.received.update(["/prompt/two", "/prompt/two"])
    assert list(compare(ledger, client_of(Shown()))) == []
    ledger.received.update(["/tune/one"])
    [problem] = compare(ledger, client_of(Shown()))
    assert problem.kind == DOUBLED


def test_a_callback_may_be_due_again_in_each_state_that_is_restored() -> None:
    ledger = ledger_of_one()
    lose_callback(Shown(), ledger)
    for _ in range(2):
        then = ledger.copy_world()
        ledger.received.update(["/prompt/two"])  # after the state was taken
        ledger.adopt(then)
    ledger.received.update(["/prompt/two"])
    assert list(compare(ledger, client_of(Shown()))) == []


def folders(root: Path) -> Path:
    """A data folder with the file of a tune; returns the file."""
    (root / TEMPORARY).mkdir()
    file = root / DATA / "files" / KEY[:2] / f"{KEY}-0"
    file.parent.mkdir(parents=True)
    file.write_bytes(photograph("one"))
    return file


def test_files_without_rows_and_rows_without_files_are_found(tmp_path: Path) -> None:
    file, client = folders(tmp_path), client_of(Shown())
    assert list(compare_files(tmp_path, client)) == []
    second = file.with_name(f"{KEY}-1")
    second.write_bytes(b"")
    assert [problem.kind for problem in compare_files(tmp_path, client)] == [LEFT_OVER]
    second.unlink()
    file.unlink()
    assert [problem.kind for problem in compare_files(tmp_path, client)] == [LOST]


@pytest.mark.parametrize("place", ["x", f"{TEMPORARY}/x", f"{DATA}/files-held-x", f"{DATA}/x.db"])
def test_photographs_and_folders_that_are_left_over_are_found(tmp_path: Path, place: str) -> None:
    folders(tmp_path).unlink()
    assert list(compare_with_nothing(tmp_path)) == []
    if place.endswith(".db"):
        (tmp_path / place).write_bytes(b"page" + photograph("two"))
    else:
        (tmp_path / place).mkdir()
    assert [problem.kind for problem in compare_with_nothing(tmp_path)] == [LEFT_OVER]


@pytest.mark.parametrize(
    ("there", "statuses", "found"),
    [
        (["one"], [], ""),
        (["one", "two"], [], ""),
        (["one", f"{UNSURE}0"], [200], ""),
        (["one", "two"], [503], ""),
        (["one", "two"], [200], "answered 200"),
        (["one", "two"], [500], "answered 500"),
        (["two"], [], "half done"),
        ([], [], "half done"),
    ],
)
def test_a_replacement_has_happened_wholly_or_not_at_all(
    there: list[str], statuses: list[int], found: str
) -> None:
    ids, shown, ledger = {"one": 1, "two": 2}, Shown(), Ledger()
    ledger.world.tunes = {1: "one", 2: "two"}
    shown.tunes = [{"id": ids.get(title, 3), "title": title} for title in there]
    then = World(tunes={1: "one"})
    adopting = SimpleNamespace(ask=shown.ask, adopt=lambda: None)
    scene = cast(Scene, SimpleNamespace(ledger=ledger, load=SimpleNamespace(clients=[adopting])))
    told = settle_on(scene, then, statuses)
    assert found in told
    assert bool(found) == bool(told)
    is_new = "one" in there and "two" not in there
    assert (ledger.world == then) == is_new
