"""Measure what `mock_astria` costs a test, beside a bare stub of `responses` and a local server.

All in one process and in turns, except the start, which is measured in new processes.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import requests
import responses

from astria_emulator import mock_astria
from tools.bench.servers import machine

URL, HEADERS = "https://api.astria.ai", {"Authorization": "Bearer sd_test"}
TUNE = {"tune": {"title": "J", "name": "woman", "branch": "fast", "image_urls": ["https://a.b/1"]}}
CALLED_BACK = {"tune": {**TUNE["tune"], "callback": "https://app.example/hook"}}
ROUNDS, EACH = 9, 100
START = (
    "import time; begin = time.perf_counter()\n"
    "from astria_emulator import mock_astria\n"
    "with mock_astria(): print(time.perf_counter() - begin)"
)


def post_by_requests(base: str = URL) -> None:
    assert requests.post(f"{base}/tunes", json=TUNE, headers=HEADERS).status_code == 201


def post_by_httpx(client: httpx.Client) -> None:
    assert client.post(f"{URL}/tunes", json=TUNE, headers=HEADERS).status_code == 201


def enter() -> None:
    with mock_astria():
        pass


def flow() -> None:
    """Create, call back, draw, fetch and expire, with a new state."""
    with mock_astria() as astria:
        tune = requests.post(f"{URL}/tunes", json=CALLED_BACK, headers=HEADERS).json()
        astria.finish()
        prompt = {"prompt": {"text": f"portrait {time.perf_counter()}", "num_images": 1}}
        requests.post(f"{URL}/tunes/{tune['id']}/prompts", json=prompt, headers=HEADERS)
        astria.finish()
        assert requests.get(astria.prompts[0].images[0]).content
        astria.advance(days=31)
        assert (len(astria.callbacks), astria.tunes[0].state) == (1, "expired")


def milliseconds(act: Callable[[], Any], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - begin) * 1000 / times


def main() -> None:
    print(machine())
    rows: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with mock_astria() as astria, httpx.Client() as client:
            base = astria.url
            record(rows, "POST by requests, intercepted", post_by_requests)
            record(rows, "POST by httpx, intercepted", lambda client=client: post_by_httpx(client))
            record(rows, "POST by requests to astria.url", lambda base=base: post_by_requests(base))
        with responses.RequestsMock() as stub:
            stub.post(f"{URL}/tunes", json={"id": 1}, status=201)
            record(rows, "POST by requests, a bare stub of responses", post_by_requests)
        record(rows, "mock_astria entered and left", enter)
        record(rows, "whole flow", flow, 10)
        done = subprocess.run([sys.executable, "-c", START], capture_output=True, check=True)
        rows.setdefault("import and first mock, in a new process", []).append(
            float(done.stdout) * 1000
        )
    for name, times in rows.items():
        print(f"{name:<46} {statistics.median(times):8.2f} ms  (worst {max(times):.2f})")


def record(
    rows: dict[str, list[float]], name: str, act: Callable[[], Any], times: int = EACH
) -> None:
    rows.setdefault(name, []).append(milliseconds(act, times))
