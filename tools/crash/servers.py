"""The servers under attack: processes that can be killed, frozen and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import requests

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0
STOP_SECONDS = 60.0  # a server promises 8; this is what a busy machine may make of it


class Server:
    """A server process on a port that stays the same. Its temporary files are in a folder of ours.

    It may be killed by one thread while another one waits for it: `start` begins it anew.
    """

    def __init__(
        self,
        port: int,
        settings: list[str],
        temporary: Path,
        *,
        tls: bool = False,
        log: IO[str] | None = None,
    ):
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "astria_emulator", "serve", "--port", str(port)]
        self._command += settings
        self._environment = {**os.environ, "TMPDIR": str(temporary)}
        self._log = log
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers. It may not be able to: on a disk that is full."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
            )
            while self._process.poll() is None:
                try:
                    requests.get(f"{self.url}/_emulator/health", timeout=5, verify=False)
                    return
                except requests.RequestException:
                    time.sleep(0.02)
            time.sleep(0.5)
        raise SystemExit("a server did not start")

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self, seconds: float) -> None:
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> bool:
        """Stop in the orderly way; return whether it ended."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
