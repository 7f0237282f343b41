"""The memory of a process that has drawn pictures."""

import subprocess
import sys

from tests import PATIENCE_SECONDS

PROGRAM = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from astria_emulator import Config, create_app

pictures, clients, side = map(int, sys.argv[1:])
app = create_app(Config(clock="2026-01-01T00:00:00Z"))
key = {"Authorization": "Bearer sd_test"}
wanted = {"text": "a lighthouse", "num_images": 1, "w": side, "h": side}

def address(seed):
    prompt = {"prompt": {**wanted, "seed": seed}}
    made = app.test_client().post("/tunes/1504944/prompts", json=prompt, headers=key).json
    app.test_client().post("/_emulator/finish")
    shown = app.test_client().get(f"/prompts/{made['id']}", headers=key).json
    return shown["images"][0]

with ThreadPoolExecutor(clients) as pool:
    for answer in pool.map(app.test_client().get, [address(seed) for seed in range(pictures)]):
        assert answer.status_code == 200 and answer.data, answer.status
pages = int(Path("/proc/self/statm").read_text().split()[1])
print(pages * __import__("resource").getpagesize())
app.close()
"""


def memory_after_drawing(*, pictures: int, clients: int, side: int) -> int:
    """Return the bytes that a server holds after so many square pictures, asked for at once."""
    command = [sys.executable, "-c", PROGRAM, str(pictures), str(clients), str(side)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
