"""What a server writes can be read by its owner only, whatever the umask."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests import PATIENCE_SECONDS
from tests.server.processes import KEY, Process, command, environment


@pytest.fixture(params=[0o000, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_data_is_its_owners_only_and_the_ready_file_is_everybodys(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    data, ready = tmp_path / "new" / "data", tmp_path / "ready"
    server = start("--data", data, "--ready-file", ready, "--train-seconds", 0)
    form = {"tune[title]": "Jane", "tune[name]": "woman", "tune[branch]": "fast"}
    files = {"tune[images][]": ("1.gif", b"GIF89a\1\0\1\0\0\0\0;")}
    made = requests.post(
        f"{server.url}/tunes", data=form, files=files, headers=KEY, timeout=PATIENCE_SECONDS
    )
    assert made.status_code == 201, made.text
    snapshot = f"{server.url}/_emulator/snapshots/one"
    assert requests.put(snapshot, timeout=PATIENCE_SECONDS).ok
    written = [data.parent, data, *data.rglob("*")]
    assert {path.name for path in written} >= {"astria.sqlite3", "astria.sqlite3-wal", "files"}
    assert [path for path in written if mode(path) != (0o700 if path.is_dir() else 0o600)] == []
    assert mode(ready) == 0o644


def test_folder_that_exists_keeps_its_mode(start: Callable[..., Process], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    start("--data", data)
    assert mode(data) == 0o755
    assert [mode(path) for path in data.rglob("*") if path.is_file()] == [0o600] * 3


def test_command_of_exec_keeps_the_users_umask() -> None:
    code = "import os; print(oct(os.umask(0)))"
    ended = subprocess.run(
        command("exec", "--", sys.executable, "-c", code),
        env=environment({}), umask=0o027, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert ended.stdout == "0o27\n", ended.stderr
