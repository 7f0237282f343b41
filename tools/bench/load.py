"""Load by wrk, on core 1: as much as a server takes, or as much as is offered."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from tools.bench.servers import KEY

CONNECTIONS = 8
# At a fixed rate each of many connections asks seldom, so that the rate hardly depends on how long
# answers take: wrk has no other way to it.
OFFERING = 64
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Measured:
    rate: float  # requests a second
    p99: float  # milliseconds


def wrk(url: str, *, seconds: float, body: object = None, offered: float = 0) -> Measured:
    """Ask again and again, or at a rate that is offered; any answer but 2xx ends the program."""
    if not shutil.which("wrk"):
        raise SystemExit("bench: wrk is not installed (Debian: apt-get install wrk)")
    script = [f'wrk.headers["Authorization"] = "Bearer {KEY}"']
    if body is not None:
        script += ['wrk.method = "POST"', 'wrk.headers["Content-Type"] = "application/json"']
        script += [f"wrk.body = [[{json.dumps(body)}]]"]
    if offered:
        script += [f"function delay() return {1000 * OFFERING / offered:.0f} end"]
    connections = OFFERING if offered else CONNECTIONS
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write("\n".join(script))
        lua.flush()
        load = ["-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", lua.name, url]
        told = subprocess.run(["taskset", "-c", "1", "wrk", *load], capture_output=True, text=True)
    if "Non-2xx" in told.stdout or "Requests/sec" not in told.stdout:
        raise SystemExit(f"{url} was refused\n{told.stdout}{told.stderr}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told.stdout)
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", told.stdout)
    return Measured(float(rate[1]), float(late[1]) * MILLISECONDS[late[2]])
