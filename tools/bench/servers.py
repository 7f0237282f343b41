"""The servers to measure: how each is started on a port, and what it needs for that."""

import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
POSTGRES = os.environ.get("ASTRIA_TEST_POSTGRES", "postgresql://127.0.0.1:5432/postgres")
KEY = "sd_bench"
TUNE = {
    "title": "Jane",
    "name": "woman",
    "branch": "fast",
    "image_urls": [f"https://example.com/{number}.jpg" for number in range(4)],
}


@dataclass
class Peer:
    """A server to measure, and its figures. `command`: returns the command line of each start."""

    name: str
    command: Callable[[ExitStack], list[str]]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, figure: float) -> None:
        self.figures.setdefault(name, []).append(figure)


def emulator(stack: ExitStack, *, data: bool = False, database: bool = False) -> list[str]:
    command = [sys.executable, "-m", "astria_emulator", "serve", "--log-level", "error"]
    if data:
        command += ["--data", stack.enter_context(tempfile.TemporaryDirectory())]
    if database:
        command += ["--database", stack.enter_context(new_database())]
    return command


@contextmanager
def new_database() -> Iterator[str]:
    import psycopg

    name = f"astria_bench_{uuid4().hex[:8]}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{POSTGRES.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def stores() -> list[Peer]:
    """Return the emulator with each of its stores."""
    peers = [
        Peer("memory", emulator),
        Peer("SQLite", lambda stack: emulator(stack, data=True)),
    ]
    try:
        with new_database():
            peers.append(
                Peer("PostgreSQL", lambda stack: emulator(stack, data=True, database=True))
            )
    except Exception as error:
        print(f"not measured: PostgreSQL ({type(error).__name__})")
    return peers


def others() -> list[Peer]:
    """Return the other servers that are installed."""
    contract = str(ROOT / "openapi.yaml")
    peers = []
    prism = os.environ.get("PRISM") or shutil.which("prism")
    mockoon = os.environ.get("MOCKOON") or shutil.which("mockoon-cli")
    if prism:
        command = [prism, "mock", contract, "--verboseLevel", "error"]
        peers.append(Peer("Prism", lambda _, command=command: command))
    if mockoon:
        command = [mockoon, "start", "--data", contract, "--disable-log-to-file"]
        peers.append(Peer("Mockoon", lambda _, command=command: command))
    for name, command in (("Prism", prism), ("Mockoon", mockoon)):
        if not command:
            print(f"not measured: {name} (not installed)")
    return peers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: object = None, method: str | None = None) -> Any:
    """Send a request, and return the JSON of its answer."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


@dataclass
class Running:
    url: str
    pid: int

    def memory_mb(self) -> float:
        """Resident memory of the server's processes.

        This is the sum of their mappings. The sum that ps shows grows by some megabytes within
        100,000 requests, while no mapping does.
        """
        command = ["ps", "-o", "pid=", "-g", str(self.pid)]
        pids = subprocess.run(command, capture_output=True, text=True).stdout.split()
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
        return sum(int(text.partition("\nRss:")[2].split()[0]) for text in rollups) / 1024


@contextmanager
def serving(peer: Peer) -> Iterator[Running]:
    """Start a server on core 0, note the time to its first answer and its memory, and stop it."""
    port = free_port()
    with ExitStack() as stack:
        command = ["taskset", "-c", "0", *peer.command(stack), "--port", str(port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **quiet)
        running = Running(f"http://127.0.0.1:{port}", process.pid)
        try:
            while True:
                try:
                    ask(f"{running.url}/tunes/690204")
                    break
                except (urllib.error.URLError, ConnectionError):
                    if process.poll() is not None:
                        raise SystemExit(f"bench: {peer.name} did not start") from None
                    time.sleep(0.005)
            peer.note("start to first answer, s", time.perf_counter() - begin)
            peer.note("memory after start, MB", running.memory_mb())
            yield running
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def machine() -> str:
    """Return the machine and the versions of a measurement as text."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    packages = ("flask", "marshmallow", "waitress", "sqlalchemy", "psycopg")
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    for command in (["psql", "--version"], ["node", "--version"]):
        if shutil.which(command[0]):
            text = subprocess.run(command, capture_output=True, text=True).stdout.strip()
            versions.append(text.replace("v", "Node ", 1) if "v" in text else text)
    name = cpu[1] if cpu else platform.processor()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, " + ", ".join(
        versions
    )
