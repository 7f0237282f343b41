"""Servers that are killed under load, a few times; `make crash` does it a hundred times."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import PATIENCE_SECONDS
from tests.databases import postgres_database

ROOT = Path(__file__).resolve().parents[1]


def crash(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.crash", "--kills", "3", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_nothing_answered_is_lost_and_nothing_done_twice_when_servers_are_killed(
    store: str,
) -> None:
    if store == "sqlite":
        done = crash()
    else:
        with postgres_database() as url:
            done = crash("--servers", "2", "--database", url)
    assert done.returncode == 0, done.stderr
    assert '"problems": 0' in done.stdout
