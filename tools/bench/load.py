"""Load a server by wrk on core 1: as fast as it answers, or at a fixed rate."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from tools.bench.servers import KEY

CONNECTIONS = 8
# For a fixed rate many connections send rarely, so that it hardly depends on how long answers take:
# wrk has no option for a rate.
RATE_CONNECTIONS = 64
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Measured:
    rate: float  # requests a second
    p99: float  # milliseconds


def wrk(url: str, *, seconds: float, body: object = None, offered: float = 0) -> Measured:
    """Send requests for so many seconds; any answer but 2xx ends the program.

    offered: requests a second; 0 for as many as the server answers.
    """
    if not shutil.which("wrk"):
        raise SystemExit("bench: wrk is not installed (Debian: apt-get install wrk)")
    script = [f'wrk.headers["Authorization"] = "Bearer {KEY}"']
    if body is not None:
        script += ['wrk.method = "POST"', 'wrk.headers["Content-Type"] = "application/json"']
        script += [f"wrk.body = [[{json.dumps(body)}]]"]
    if offered:
        script += [f"function delay() return {1000 * RATE_CONNECTIONS / offered:.0f} end"]
    connections = RATE_CONNECTIONS if offered else CONNECTIONS
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write("\n".join(script))
        lua.flush()
        load = ["-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", lua.name, url]
        done = subprocess.run(["taskset", "-c", "1", "wrk", *load], capture_output=True, text=True)
    if "Non-2xx" in done.stdout or "Requests/sec" not in done.stdout:
        raise SystemExit(f"{url} was refused\n{done.stdout}{done.stderr}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    return Measured(float(rate[1]), float(p99[1]) * MILLISECONDS[p99[2]])
