"""See that the contract suite raises no false alarm: with many seeds, and with late answers.

    python -m tools.false_alarms --seeds 20            # the emulator that the suite starts
    python -m tools.false_alarms --delay 0.2           # one whose every answer takes longer

Prints what each run found, and ends with the number of runs that found something.
"""

import argparse
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from astria_emulator import Config, create_app
from astria_emulator.server.http_server import Server

START = "2026-01-01T00:00:00Z"
MIB = 1024 * 1024


def run(*flags: str) -> int:
    """Run the suite, and show the end of what it says."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "astria_contracts", *flags]
    ended = subprocess.run(command, capture_output=True, text=True)
    lines = (ended.stdout.strip() or ended.stderr).splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith("FAILED")), len(lines) - 1)
    print(f"{' '.join(flags)}, {time.monotonic() - begin:.0f} s:", *lines[first:], sep="\n  ")
    sys.stdout.flush()
    return int(ended.returncode != 0)


@contextmanager
def late_emulator(seconds: float) -> Iterator[str]:
    """The emulator with its answers held back."""
    logging.getLogger("astria_emulator").setLevel(logging.ERROR)
    limits = {"max_file_mb": 4, "max_body_mb": 20}
    app = create_app(Config(clock=START, train_seconds=30, prompt_seconds=10, **limits))
    answer = app.wsgi_app

    def late(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "/_emulator/" not in environ["PATH_INFO"]:
            time.sleep(seconds)
        return answer(environ, start)

    app.wsgi_app = late  # type: ignore[method-assign]
    server = Server(app, "127.0.0.1", 0, max_body=20 * MIB)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()
    thread.join()
    app.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--budget", default="quick")
    asked = parser.parse_args()
    alarms = sum(run("--budget", asked.budget, "--seed", str(seed)) for seed in range(asked.seeds))
    if asked.delay:
        with late_emulator(asked.delay) as url:
            second = ["--second-key", "sd_contracts_second"]
            alarms += run("--budget", asked.budget, "--target", url, *second)
    sys.exit(alarms)


if __name__ == "__main__":
    main()
