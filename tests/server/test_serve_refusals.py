"""What is wrong at start is told; the other commands."""

import re
import socket
import subprocess
import sys
from typing import Any

from click.testing import CliRunner

from astria_emulator.__main__ import main
from astria_emulator.domain.assumptions import ASSUMPTIONS
from astria_emulator.spec.openapi import Spec, default_path
from tests import PATIENCE_SECONDS
from tests.server.processes import command, environment


def run(*arguments: Any, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        command(*arguments),
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def run_where(names: dict[str, list[str]], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own where these names have these addresses."""
    patch = (
        "import socket\n"
        "look_up = socket.getaddrinfo\n"
        "def looked_up(host, *rest, **more):\n"
        f"    names = {names}\n"
        "    if names.get(host) == []:\n"
        "        raise socket.gaierror(-2, 'Name or service not known')\n"
        "    return [a for name in names.get(host, [host]) for a in look_up(name, *rest, **more)]\n"
        "socket.getaddrinfo = looked_up\n"
    )
    return subprocess.run(
        [sys.executable, "-c", patch + code],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


# -- what is wrong ---------------------------------------------------------------------------------
def test_serve_lists_all_that_is_wrong_and_exits_with_2():
    flags = (
        "--port",
        99999,
        "--log-level",
        "loud",
        "--train-seconds",
        -1,
        "--assume",
        "keys=maybe",
    )
    ended = run("serve", *flags, clock="yesterday", public_url="astria.test", prompt_seconds="nan")
    assert (ended.returncode, ended.stdout) == (2, "")
    for named in ("99999", "loud", "-1", "maybe", "yesterday", "astria.test", "nan"):
        assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_wrong_kinds_and_wrong_values_are_listed_together():
    ended = run("serve", "--port", "many", "--log-level", "loud", idempotency="perhaps")
    assert ended.returncode == 2
    for named in ("many", "perhaps", "loud"):
        assert named in ended.stderr


def test_serve_says_that_the_port_is_in_use_and_exits_with_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--port", port)
    assert ended.returncode == 1
    assert ended.stderr == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_serve_says_that_the_host_is_unknown():
    flags = ["serve", "--port", "0", "--host", "nowhere.test", "--keys", "sd_a"]
    ended = run_where(
        {"nowhere.test": []}, f"import astria_emulator.__main__ as cli; cli.main({flags})"
    )
    assert ended.returncode == 1
    assert "cannot listen on nowhere.test:0" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_serve_says_that_the_ready_file_cannot_be_written(tmp_path):
    ended = run("serve", "--port", 0, "--ready-file", tmp_path / "missing" / "ready")
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    assert str(tmp_path / "missing") in ended.stderr


def test_serve_says_what_is_wrong_with_the_seed_data(tmp_path):
    path = tmp_path / "seed.yaml"
    path.write_text("- key: somebody\n  tunes: [{title: a}]\n")
    ended = run("serve", "--port", 0, "--seed-data", path)
    assert (ended.returncode, ended.stdout) == (2, "")
    for told in (f"--seed-data {path}", "account 1: key is not", "account 1, tune 1: name can't"):
        assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_server_listens_when_a_name_has_two_addresses():
    """As `localhost` often has; here both are IPv4, which every machine can listen on."""
    ended = run_where(
        {"localhost": ["127.0.0.1", "127.0.0.2"]},
        "from astria_emulator.server.http_server import Server\n"
        "server = Server(print, 'localhost', 0, max_body=1000)\n"
        "server.stop()\n"
        "server.run()\n"
        "assert server.port\n",
    )
    assert (ended.returncode, ended.stderr) == (0, "")


# -- the other commands ----------------------------------------------------------------------------
def test_version_is_printed():
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"\b\d+\.\d+\.\d+$", ended.stdout.strip())


def test_routes_are_printed():
    lines = CliRunner().invoke(main, ["routes"]).output.splitlines()
    operations = Spec.read(default_path()).operations
    assert [line.split() for line in lines] == [[o.method, o.path, o.id] for o in operations]


def test_assumptions_are_printed():
    shown = CliRunner().invoke(main, ["assumptions"]).output
    for row in ASSUMPTIONS:
        assert f"{row.name} = {' | '.join(row.choices)}\n    {row.says}\n" in shown


# -- folders of the user's own ---------------------------------------------------------------------
def test_folder_of_a_user_within_data_is_refused_and_left_as_it_is(tmp_path):
    photo = tmp_path / "files" / "holiday.jpg"
    photo.parent.mkdir()
    photo.write_text("x")
    done = run("serve", "--port", 0, "--data", tmp_path)
    assert done.returncode == 2
    assert "files holds what is not ours ('holiday.jpg')" in done.stderr
    assert photo.read_text() == "x"


def test_ready_file_takes_nobodys_place(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("dear diary")
    done = run("serve", "--port", 0, "--ready-file", notes)
    assert done.returncode == 1
    assert "notes.txt is no ready file" in done.stderr
    assert notes.read_text() == "dear diary"
