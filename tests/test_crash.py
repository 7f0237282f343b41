"""Servers that are attacked under load, a few times; `make crash` does it 300 times."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import PATIENCE_SECONDS
from tests.databases import server_problem
from tools.crash.events import EVENTS, OF_DATABASE, OF_DISK

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("kill", "kill in an upload", "kill in an import", "kill in a restore", "cut clients")


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_nothing_is_lost_or_done_twice_or_left_over(store: str) -> None:
    flags: list[str] = []
    if store == "postgres":
        if problem := server_problem():
            pytest.skip(problem)
        flags = ["--postgres", "--servers", "2"]
    for name in QUICK:
        flags += ["--only", name]
    command = [sys.executable, "-m", "tools.crash", "--events", str(len(QUICK)), *flags]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert '"problems": 0' in done.stdout


def test_every_event_is_known_by_its_name() -> None:
    assert {*QUICK, *OF_DATABASE, *OF_DISK} <= EVENTS.keys()
