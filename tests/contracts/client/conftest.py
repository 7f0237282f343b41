"""Fixtures: a server that is no emulator, and a session that sends nothing."""

import json
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
import requests

from astria_contracts.client import target
from tests.listeners import listening


class Server:
    """Answers by path; 404 where it knows none. Notes what it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = {}

    @property
    def handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                server.asked.append((self.command, self.path, self.headers.get("Authorization")))
                status, body = server.answers.get(self.path, (404, b"{}"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_DELETE = answer  # noqa: N815

            def log_message(self, format, *args): ...

        return Handler

    def tells(self, capabilities):
        """Say of itself that it is an emulator with these capabilities."""
        body = {"name": "astria-emulator", "version": "9", "capabilities": capabilities}
        self.answers["/_emulator/info"] = (200, json.dumps(body).encode())


@pytest.fixture
def server():
    found = Server()
    with listening(found.handler) as found.url:
        yield found


@pytest.fixture
def sent(monkeypatch):
    """Every request that a session would send; nothing leaves this machine."""
    asked = []

    def request(self, method, url, **more):
        asked.append((method, url))
        answer = requests.Response()
        answer.status_code = 200
        answer._content = b"{}"
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    return asked


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when someone sleeps."""
    found = SimpleNamespace(now=100.0, slept=[])

    def sleep(seconds):
        found.slept.append(round(seconds, 3))
        found.now += seconds

    fake = SimpleNamespace(sleep=sleep, monotonic=lambda: found.now)
    monkeypatch.setattr(target, "time", fake)
    return found
