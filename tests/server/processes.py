"""Servers as processes."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import requests

from astria_emulator.config import PREFIX
from tests import PATIENCE_SECONDS

KEY = {"Authorization": "Bearer sd_test"}


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "astria_emulator", *map(str, arguments)]


def environment(settings: dict[str, str]) -> dict[str, str]:
    """This one, with these settings as variables and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {PREFIX + name.upper(): value for name, value in settings.items()}


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
