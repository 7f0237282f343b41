"""`astria-emulator exec` and `env`, as processes: what the command is given, and how it ends."""

import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator

import pytest
import requests
from click.testing import CliRunner

from astria_emulator.__main__ import main
from astria_emulator.testing.exec import FORWARDED
from tests import PATIENCE_SECONDS

PREFIX = "ASTRIA_EMULATOR_"
TOLD = "import os; print(os.environ['ASTRIA_BASE_URL'], os.environ['ASTRIA_API_KEY'], flush=True)\n"
LISTED = (
    "import os, urllib.request as http\n"
    "key = {'Authorization': 'Bearer ' + os.environ['ASTRIA_API_KEY']}\n"
    "url = os.environ['ASTRIA_BASE_URL'] + '/tunes'\n"
    "print(http.urlopen(http.Request(url, headers=key)).read().decode(), flush=True)\n"
)


def command(*arguments):
    return [sys.executable, "-m", "astria_emulator", *map(str, arguments)]


def environment(**settings):
    """This one, with these settings as variables and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASTRIA_")}
    return kept | {PREFIX + name.upper(): value for name, value in settings.items()}


def run(*arguments, **settings):
    return subprocess.run(
        command(*arguments),
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def python(script, *more):
    return ["--", sys.executable, "-c", script, *more]


# -- what the command is given ---------------------------------------------------------------------
def test_command_finds_a_server_of_its_own_that_ends_with_it():
    ended = run("exec", *python(TOLD + LISTED))
    variables, listed = ended.stdout.splitlines()
    url, key = variables.split()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert (key, listed, ended.returncode, ended.stderr) == ("sd_local", "[]", 0, "")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/_emulator/health", timeout=PATIENCE_SECONDS)


def test_first_key_is_the_command_s():
    ended = run("exec", "--keys", "sd_one,sd_two", *python(TOLD + LISTED))
    assert ended.stdout.splitlines()[0].endswith(" sd_one")
    assert ended.stdout.splitlines()[1] == "[]"


def test_serve_s_flags_and_variables_count(tmp_path):
    port = free_port()
    ready = tmp_path / "ready"
    ended = run("exec", "--ready-file", ready, *python(TOLD), port=str(port))
    assert ended.stdout == f"http://127.0.0.1:{port} sd_local\n"
    assert ready.read_text() == f"http://127.0.0.1:{port}\n"


def test_everything_behind_the_command_is_its_own():
    script = "import sys; print(sys.argv[1:])"
    ended = run("exec", "--seed", 7, *python(script, "--port", "--", "-h")[1:])
    assert ended.stdout == "['--port', '--', '-h']\n"


@pytest.mark.parametrize(("level", "is_told"), [((), False), (("--log-level", "info"), True)])
def test_log_is_on_standard_error_from_warnings_on(level, is_told):
    ended = run("exec", *level, *python(LISTED))
    assert ended.stdout == "[]\n"
    assert ("GET /tunes 200" in ended.stderr) == is_told


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# -- how it ends -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
)
def test_exit_code_is_the_command_s(script, code):
    assert run("exec", *python(script)).returncode == code


def test_command_that_there_is_not_is_told_and_ends_with_127():
    ended = run("exec", "--", "no-such-command")
    assert ended.returncode == 127
    assert ended.stderr == "astria-emulator: no-such-command: there is no such command\n"


@pytest.mark.parametrize(("mode", "why"), [(0o644, "Permission denied"), (0o755, "format error")])
def test_command_that_cannot_be_run_is_told_and_ends_with_126(tmp_path, mode, why):
    path = tmp_path / "words"
    path.write_bytes(b"\x00 no program")
    path.chmod(mode)
    ended = run("exec", "--", path)
    assert ended.returncode == 126
    assert "cannot be run" in ended.stderr
    assert why in ended.stderr


def test_port_that_is_taken_is_told_and_nothing_is_run():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("exec", "--port", port, *python("print('here')"))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_settings_that_are_wrong_are_told_and_nothing_is_run():
    ended = run("exec", "--seed", "many", *python("print('here')"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "many" in ended.stderr


# -- signals ---------------------------------------------------------------------------------------
WAITS = """
import signal, sys
def heard(number, frame):
    print(signal.Signals(number).name, flush=True)
    raise SystemExit(9)
for name in ("SIGTERM", "SIGHUP", "SIGINT"):
    signal.signal(getattr(signal, name), heard)
print("ready", flush=True)
while True:
    signal.pause()
"""


def heed() -> None:
    """Signals that these tests were told to ignore, as under nohup, count in what they run."""
    for name in FORWARDED:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.mark.parametrize("name", FORWARDED)
def test_signal_is_passed_on(name):
    process = subprocess.Popen(
        command("exec", *python(WAITS)),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # without a terminal
        preexec_fn=heed,
    )
    assert process.stdout
    watchdog = threading.Timer(PATIENCE_SECONDS, os.killpg, [process.pid, signal.SIGKILL])
    watchdog.start()
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.stdout.read() == f"{name}\n"
        assert process.wait(PATIENCE_SECONDS) == 9
    finally:
        watchdog.cancel()
        process.kill()
        process.stdout.close()
        process.wait()


COUNTS = """
import signal
count = 0
def interrupt(number, frame):
    global count
    count += 1
    print("heard", flush=True)
def end(number, frame):
    raise SystemExit(count)
signal.signal(signal.SIGINT, interrupt)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: the end that is typed at, and the program's end."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_ctrl_c_reaches_the_command_once(terminal):
    typed, shown = terminal

    def take_terminal():
        heed()
        os.setsid()
        fcntl.ioctl(shown, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command("exec", *python(COUNTS)),
        env=environment(),
        stdin=shown, stdout=shown, stderr=shown,
        preexec_fn=take_terminal,
    )  # fmt: skip
    try:
        read_until(typed, b"ready")
        process.send_signal(signal.SIGSTOP)  # or both might come at once, and be taken for one
        os.write(typed, b"\x03")
        read_until(typed, b"heard")
        process.send_signal(signal.SIGTERM)  # which is passed on after Ctrl-C, were that passed on
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE_SECONDS) == 1
    finally:
        process.kill()
        process.wait()


def read_until(end, word):
    said = b""
    while word not in said:
        assert select.select([end], [], [], PATIENCE_SECONDS)[0], said
        said += os.read(end, 1000)


# -- env -------------------------------------------------------------------------------------------
def test_env_is_what_a_shell_evaluates():
    shell = f'eval "$({sys.executable} -m astria_emulator env --port 9 --keys "{{key}}")"; env'
    for key in ("sd_local", "it's $HOME; echo oops"):
        ended = subprocess.run(
            ["/bin/sh", "-c", shell.replace("{key}", key.replace("$", "\\$"))],
            env=environment(),
            capture_output=True,
            text=True,
        )
        lines = ended.stdout.splitlines()
        assert "ASTRIA_BASE_URL=http://127.0.0.1:9" in lines
        assert f"ASTRIA_API_KEY={key}" in lines
        assert "oops" not in lines


def test_env_tells_that_nothing_answers_and_where_by_default():
    ended = run("env", port=str(free_port()))
    assert ended.returncode == 0
    assert "yet: `astria-emulator serve` begins it\n" in ended.stderr
    assert "export ASTRIA_API_KEY=sd_local\n" in ended.stdout


def test_env_reads_the_ready_file(tmp_path):
    ready = tmp_path / "ready"
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        ready.write_text(f"{url}\n")
        ended = run("env", "--ready-file", ready)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"export ASTRIA_BASE_URL={url}\n")


def test_env_tells_that_there_is_no_ready_file(tmp_path):
    ended = run("env", "--ready-file", tmp_path / "missing")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no server has written" in ended.stderr


@pytest.mark.parametrize("name", ["exec", "env", "check-client"])
def test_command_is_among_the_others_and_has_a_help(name):
    shown = CliRunner().invoke(main, [name, "--help"], prog_name="astria-emulator")
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: astria-emulator {name} [OPTIONS]")
    assert (
        f"astria-emulator {name} -" in shown.output
        or f'"$(astria-emulator {name})"' in shown.output
    )
    assert name in CliRunner().invoke(main, ["--help"]).output
