"""A photograph that is deleted is nowhere on the disk, wherever a server was killed before."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import PATIENCE_SECONDS
from tests.databases import postgres_database
from tests.storage.kills import STEPS

CASES = [
    *(("sqlite", step) for step in STEPS),
    *(("postgres", step) for step in ("upload", "delete", "restore", "import")),
    ("memory", "import"),  # the only one that writes
]


@pytest.mark.parametrize(("store", "step"), CASES)
def test_deleted_photograph_is_nowhere(tmp_path: Path, store: str, step: str) -> None:
    with ExitStack() as opened:
        database = [opened.enter_context(postgres_database())] if store == "postgres" else []
        command = [sys.executable, "-m", "tests.storage.kills", step, str(tmp_path / store)]
        done = subprocess.run(
            [*command, *database], capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["found"] == []
    assert outcome["kills"] > 0
