"""The command line as a process: start, settings, stop, and the order of answers and callbacks."""

import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from PIL import Image

from astria_emulator.__main__ import main, read_config
from astria_emulator.config import PREFIX, Config
from astria_emulator.domain.assumptions import ASSUMPTIONS
from astria_emulator.server.background import serving
from astria_emulator.server.http_server import Server
from astria_emulator.spec.openapi import Spec, default_path
from astria_emulator.work import answer_holds
from tests import PATIENCE_SECONDS, wait_until
from tests.listeners import listening

HELD_BACK_SECONDS = 0.1
KEY = {"Authorization": "Bearer sd_test"}
START = "2026-01-01T00:00:00Z"

# A value for every setting, as text, and what it is read as.
VALUES: dict[str, tuple[str, Any]] = {
    "host": ("localhost", "localhost"),
    "port": ("9000", 9000),
    "public_url": ("https://astria.test", "https://astria.test"),
    "ready_file": ("ready", "ready"),
    "data": ("folder", "folder"),
    "database": ("postgresql://astria@db/astria", "postgresql://astria@db/astria"),
    "tls": ("true", True),
    "tls_dir": ("tls", "tls"),
    "seed": ("7", 7),
    "seed_data": ("seed.yaml", "seed.yaml"),
    "clock": (START, START),
    "train_seconds": ("2.5", 2.5),
    "prompt_seconds": ("0", 0.0),
    "backend": ("mock", "mock"),
    "backend_options": ("toy=true, threads=1", ("toy=true", "threads=1")),
    "keys": ("sd_a, sd_b", ("sd_a", "sd_b")),
    "idempotency": ("true", True),
    "assume": ("keys=any,cfg-scale=number", ("keys=any", "cfg-scale=number")),
    "callback_hosts": ("a.test,b.test", ("a.test", "b.test")),
    "fetch_hosts": ("c.test,*", ("c.test", "*")),
    "faults": ("faults.yaml", "faults.yaml"),
    "scenario": ("bad-day, refusals", ("bad-day", "refusals")),
    "control_token": ("secret", "secret"),
    "max_body_mb": ("1", 1),
    "max_file_mb": ("2", 2),
    "max_megapixels": ("3", 3),
    "log_level": ("error", "error"),
}


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "astria_emulator", *map(str, arguments)]


def environment(settings: dict[str, str]) -> dict[str, str]:
    """This one, with these settings as variables and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {PREFIX + name.upper(): value for name, value in settings.items()}


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


@dataclass(frozen=True)
class Process:
    """A server that has said that it is ready."""

    popen: subprocess.Popen[str]
    said: str  # its first line
    url: str

    def get(self, path: str, key: str = "sd_test") -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return requests.get(self.url + path, headers=headers, timeout=PATIENCE_SECONDS)

    def post(self, path: str, body: Any = None) -> Any:
        answer = requests.post(self.url + path, json=body, headers=KEY, timeout=PATIENCE_SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(PATIENCE_SECONDS)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts servers with these flags, and with settings as variables; ends them afterwards."""
    started: list[subprocess.Popen[str]] = []
    watchdogs: list[threading.Timer] = []

    def begin(*flags: Any, **settings: str) -> Process:
        with (tmp_path / "log").open("a") as log:
            popen = subprocess.Popen(
                command("serve", *(() if "port" in settings else ("--port", 0)), *flags),
                env=environment(settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        started.append(popen)
        watchdogs.append(threading.Timer(PATIENCE_SECONDS, popen.kill))
        watchdogs[-1].start()
        assert popen.stdout
        said = popen.stdout.readline()
        found = re.search(r"export ASTRIA_BASE_URL=(\S+)", said)
        assert found, (tmp_path / "log").read_text()
        return Process(popen, said, found[1])

    yield begin
    for popen, watchdog in zip(started, watchdogs, strict=True):
        watchdog.cancel()
        popen.kill()
        popen.wait()
        popen.stdout.close()  # type: ignore[union-attr]


# -- ready -----------------------------------------------------------------------------------------
def test_serve_says_where_it_is_in_one_line(start):
    process = start()
    assert re.fullmatch(
        r"Astria emulator ready: "
        r"export ASTRIA_BASE_URL=http://127\.0\.0\.1:\d+ ASTRIA_API_KEY=sd_local\n",
        process.said,
    )
    assert process.get("/tunes", key="sd_local").json() == []
    process.end()
    assert process.popen.stdout.read() == ""


def test_serve_writes_the_ready_file_once_it_answers(start, tmp_path):
    ready = tmp_path / "ready"
    process = start("--ready-file", ready)
    assert ready.read_text() == process.url + "\n"
    assert requests.get(f"{process.url}/_emulator/health", timeout=PATIENCE_SECONDS).json() == {
        "status": "ok"
    }
    assert not ready.with_name("ready.part").exists()


# -- settings --------------------------------------------------------------------------------------
def test_every_setting_has_a_value_here():
    assert [setting.name for setting in fields(Config)] == list(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_setting_is_read_from_its_flag(name):
    text, value = VALUES[name]
    flag = f"--{name.replace('_', '-')}"
    given = [flag] if isinstance(value, bool) else [flag, text]
    context = main.commands["serve"].make_context("serve", given)  # type: ignore[attr-defined]
    assert getattr(read_config(context.params), name) == value


@pytest.mark.parametrize("name", VALUES)
def test_setting_is_read_from_its_variable(name, monkeypatch):
    text, value = VALUES[name]
    monkeypatch.setenv(PREFIX + name.upper(), text)
    assert getattr(read_config({}), name) == value


def test_flag_wins_over_the_variable(monkeypatch):
    monkeypatch.setenv(PREFIX + "SEED", "1")
    assert read_config({"seed": "2"}).seed == 2


def test_help_shows_every_setting_with_its_variable():
    shown = CliRunner().invoke(main, ["serve", "--help"]).output
    for setting in fields(Config):
        assert f"--{setting.name.replace('_', '-')} " in shown
        assert f"[{PREFIX}{setting.name.upper()}]" in shown


def test_serve_takes_its_settings_from_variables(start, tmp_path):
    settings = {
        "ready_file": str(tmp_path / "ready"),
        "clock": START,
        "keys": "sd_one",
        "seed": "7",
    }
    process = start(port="0", **settings)
    assert process.get("/_emulator/clock").json() == {"now": f"{START[:-1]}.000Z", "virtual": True}
    assert process.get("/_emulator/info").json()["capabilities"]["seed"] == 7
    assert process.get("/tunes", key="sd_one").status_code == 200
    assert process.get("/tunes", key="sd_two").status_code == 401
    assert (tmp_path / "ready").read_text().strip() == process.url


def test_serve_hands_out_the_public_url(start, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start("--public-url", "https://astria.test", port=str(port))
    assert process.url == "https://astria.test"
    here = f"http://127.0.0.1:{port}"
    tune = {"title": "Jane", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}
    made = requests.post(
        f"{here}/tunes", json={"tune": tune}, headers=KEY, timeout=PATIENCE_SECONDS
    ).json()
    assert made["url"] == f"https://astria.test/tunes/{made['id']}.json"
    assert made["orig_images"][0].startswith("https://astria.test/")


def test_ready_text_never_shows_a_key(start):
    process = start("--keys", "sd_secret,sd_other")
    assert "ASTRIA_API_KEY=sd_...\n" in process.said


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


# -- stop ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_ends_with_0(start, number):
    process = start()
    with socket.create_connection(process.address):  # an open connection does not hold it up
        assert process.get("/_emulator/health").ok
        assert process.end(number) == 0


def send_head(connection: socket.socket, method: str, path: str, *lines: str) -> None:
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Authorization: Bearer sd_test", *lines]
    connection.sendall("\r\n".join([*head, "", ""]).encode())


def wait_until_closed(address: tuple[str, int]) -> None:
    """Return when a server no longer takes connections."""

    def is_closed() -> bool:
        try:
            socket.create_connection(address, timeout=PATIENCE_SECONDS).close()
        except ConnectionError:
            return True
        return False

    wait_until(is_closed)


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the answer to the one request on a connection."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        return status, stream.read(int(headers[b"content-length"]))


# in whatever test the collector runs.
def test_stopped_server_leaves_no_connection_open(make_app):
    server = Server(make_app(), "127.0.0.1", 0, max_body=1000)
    thread = threading.Thread(target=server.run)
    thread.start()
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=PATIENCE_SECONDS
    ) as connection:
        send_head(connection, "GET", "/_emulator/health")
        assert read_answer(connection)[0] == 200
        server.stop()
        thread.join()
        assert connection.recv(1) == b""  # closed by the server


def test_request_that_is_being_sent_is_answered_when_the_server_is_told_to_stop(start):
    process = start("--train-seconds", 0)
    tune = {"title": "Jane", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}
    body = json.dumps({"tune": tune}).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with socket.create_connection(process.address, timeout=PATIENCE_SECONDS) as connection:
        send_head(connection, "POST", "/tunes", *lines, "Expect: 100-continue")
        assert b"100 Continue" in connection.recv(1000)  # the server has read the head
        connection.sendall(body[:20])
        process.popen.terminate()
        wait_until_closed(process.address)
        assert process.popen.poll() is None
        connection.sendall(body[20:])
        status, answer = read_answer(connection)
    assert (status, json.loads(answer)["title"]) == (201, "Jane")
    assert process.popen.wait(PATIENCE_SECONDS) == 0


def test_picture_that_is_being_drawn_is_sent_when_the_server_is_told_to_stop(start):
    process = start("--prompt-seconds", 0)
    large = {"text": "a lighthouse", "num_images": 1, "w": 4096, "h": 4096}
    made = process.post("/tunes/1504944/prompts", {"prompt": large})
    process.post("/_emulator/finish")
    [address] = process.get(f"/prompts/{made['id']}").json()["images"]
    with socket.create_connection(process.address, timeout=PATIENCE_SECONDS) as connection:
        send_head(connection, "GET", address.removeprefix(process.url))
        # Asked for later on another connection, so the picture is under way once this is answered.
        assert process.get("/_emulator/health").ok
        process.popen.terminate()
        wait_until_closed(process.address)
        status, answer = read_answer(connection)
    assert status == 200
    with Image.open(io.BytesIO(answer)) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("JPEG", (4096, 4096))
    assert process.popen.wait(PATIENCE_SECONDS) == 0


# -- callbacks after answers -----------------------------------------------------------------------
class Client:
    """Creates objects with callbacks to itself, over one connection.

    It leaves an answer unread until the callback has come. Which of them has come first is known
    without a clock: the answer is waiting in the connection as the callback comes, or it is not.
    """

    def __init__(self) -> None:
        self.callback_url = ""
        self._connection = HTTPConnection("")
        self._called = threading.Semaphore(0)
        self._answered: list[bool] = []

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        client = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                readable, _, _ = select.select([client._connection.sock], [], [], 0)
                client._answered.append(bool(readable))
                client._called.release()
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        return Handler

    def delayed(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """Hold answers back for a while, in which a callback that waits for none would come."""

        def call(environ: dict[str, Any], start: Any) -> Any:
            answer = application(environ, start)
            if self._called.acquire(timeout=HELD_BACK_SECONDS):
                self._called.release()
            return answer

        return call

    def create(self, path: str, body: dict[str, Any]) -> bool:
        """Create an object; returns whether the answer was there when the callback came."""
        headers = {**KEY, "Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)
        assert self._called.acquire(timeout=PATIENCE_SECONDS), "the callback has not come"
        answer = self._connection.getresponse()
        assert answer.status == 201, answer.read()
        answer.read()
        return self._answered.pop()

    @contextmanager
    def connected(self, port: int) -> Iterator["Client"]:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        with listening(self.handler) as self.callback_url:
            yield self
        self._connection.close()


@pytest.fixture
def client(make_app, monkeypatch) -> Iterator[Client]:
    # On a busy machine an answer may take longer than the work on its object is held back for.
    monkeypatch.setattr(answer_holds, "HOLD_SECONDS", PATIENCE_SECONDS)
    client, app = Client(), make_app(clock="", train_seconds=0, prompt_seconds=0)
    with serving(app, application=client.delayed(app)) as port, client.connected(port):
        yield client


CREATIONS = {
    "tune": (
        "/tunes",
        {
            "title": "Jane",
            "name": "woman",
            "branch": "fast",
            "image_urls": ["https://a.test/1.jpg"],
        },
    ),
    "prompt": ("/tunes/690204/prompts", {"text": "a lighthouse", "num_images": 1}),
}


@pytest.mark.parametrize("kind", CREATIONS)
def test_callback_never_arrives_before_the_answer(kind, client):
    path, attributes = CREATIONS[kind]
    body = {kind: {**attributes, "callback": client.callback_url}}
    assert [client.create(path, body) for _ in range(10)] == [True] * 10


def test_client_that_takes_no_answer_to_many_requests_stops_nobody():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "400000")])
        return [b"x" * 400_000]

    server = Server(app, "127.0.0.1", 0, max_body=500_000, is_quick=lambda *asked: True)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with socket.create_connection(("127.0.0.1", server.port)) as greedy:
        greedy.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        for _ in range(3):
            answer = requests.get(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE_SECONDS)
            assert len(answer.content) == 400_000
    server.stop()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize("is_quick", [True, False])
def test_thread_that_reads_requests_answers_those_that_are_quick(is_quick):
    answering = []

    def app(environ, start_response):
        answering.append(threading.current_thread())
        start_response("200 OK", [("Content-Length", "0")])
        return []

    asked = []

    def ask(*about):
        asked.append(about)
        return is_quick

    server = Server(app, "127.0.0.1", 0, max_body=1000, is_quick=ask)
    reading = threading.Thread(target=server.run, daemon=True)
    reading.start()
    assert requests.post(f"http://127.0.0.1:{server.port}/a", json=[1], timeout=PATIENCE_SECONDS).ok
    server.stop()
    reading.join()
    assert asked == [("/a", "application/json", 3)]
    assert [thread is reading for thread in answering] == [is_quick]
