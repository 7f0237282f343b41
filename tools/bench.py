"""Measure the emulator, and Prism beside it where it is installed: `make bench`.

Each server runs on core 0 and wrk on core 1. Prism is looked for as the command `prism`, or as
PRISM names it (`npm install @stoplight/prism-cli`, then `PRISM=node_modules/.bin/prism`). Prints
medians of ROUNDS rounds in which the servers take turns.
"""

import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
SECONDS = 3
CONNECTIONS = 8
KEY = "sd_bench"
TUNE = {
    "title": "Jane",
    "name": "woman",
    "branch": "fast",
    "image_urls": [f"https://example.com/{number}.jpg" for number in range(4)],
}


@dataclass
class Peer:
    """A server to measure: how it is started on a port, and what was measured."""

    name: str
    command: list[str]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, figure: float) -> None:
        self.figures.setdefault(what, []).append(figure)


def peers() -> list[Peer]:
    found = [
        Peer("emulator", [sys.executable, "-m", "emulator", "serve", "--log-level", "error"]),
    ]
    prism = os.environ.get("PRISM") or shutil.which("prism")
    if prism:
        found.append(
            Peer("Prism", [prism, "mock", str(ROOT / "openapi.yaml"), "--verboseLevel", "error"])
        )
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: object = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return bytes(answer.read())


@contextmanager
def serving(peer: Peer) -> Iterator[str]:
    """Start a server on core 0, note the time to its first answer and its memory, and stop it."""
    port = free_port()
    begin = time.perf_counter()
    command = ["taskset", "-c", "0", *peer.command, "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                ask(f"{url}/tunes/690204")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.005)
        peer.note("start to first answer, s", time.perf_counter() - begin)
        peer.note("memory after start, MB", memory_mb(process.pid))
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def memory_mb(group: int) -> float:
    """Resident memory of a process group."""
    listed = subprocess.run(["ps", "-o", "rss=", "-g", str(group)], capture_output=True, text=True)
    return sum(int(line) for line in listed.stdout.split()) / 1024


def wrk(peer: Peer, what: str, url: str, body: object = None) -> None:
    """Note requests/s and p99 of one kind of request."""
    script = [f'wrk.headers["Authorization"] = "Bearer {KEY}"']
    if body is not None:
        script += ['wrk.method = "POST"', 'wrk.headers["Content-Type"] = "application/json"']
        script += [f"wrk.body = [[{json.dumps(body)}]]"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write("\n".join(script))
        lua.flush()
        load = ["-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--latency", "-s", lua.name, url]
        told = subprocess.run(["taskset", "-c", "1", "wrk", *load], capture_output=True, text=True)
    if "Non-2xx" in told.stdout:
        raise SystemExit(f"{peer.name}: {what} was refused\n{told.stdout}")
    peer.note(f"{what}, requests/s", float(re.search(r"Requests/sec:\s+([\d.]+)", told.stdout)[1]))
    late, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", told.stdout).groups()
    peer.note(f"{what}, p99 ms", float(late) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def measure(peer: Peer) -> None:
    with serving(peer) as url:
        made = [json.loads(ask(f"{url}/tunes", {"tune": TUNE})) for _ in range(20)]
        wrk(peer, "GET /tunes/{id}", f"{url}/tunes/{made[0]['id']}")
        wrk(peer, "GET /tunes of 20", f"{url}/tunes")
        wrk(peer, "POST /tunes", f"{url}/tunes", {"tune": TUNE})


def main() -> None:
    if not shutil.which("wrk"):
        raise SystemExit("bench: wrk is not installed (Debian: apt-get install wrk)")
    found = peers()
    for _ in range(ROUNDS):
        for peer in found:
            measure(peer)
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = cpu[1] if cpu else platform.processor()
    print(f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("| " + " | ".join(["median of " + str(ROUNDS), *(peer.name for peer in found)]) + " |")
    print("| --- " * (len(found) + 1) + "|")
    for what in found[0].figures:
        row = [f"{statistics.median(peer.figures[what]):,.4g}" for peer in found]
        print("| " + " | ".join([what, *row]) + " |")


if __name__ == "__main__":
    main()
