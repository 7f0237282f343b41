"""The server that is killed, and the clients that note what it has answered."""

import itertools
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]


HEADERS = {"Authorization": "Bearer sd_crash"}


# A truncated answer counts as none.
UNANSWERED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class Server:
    """A server process that can be started again on the same port after a kill."""

    def __init__(self, port: int, settings: list[str]):
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable,
            "-m",
            "astria_emulator",
            "serve",
            "--port",
            str(port),
            *settings,
        ]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.DEVNULL)
        while True:
            try:
                requests.get(f"{self.url}/_emulator/health", timeout=5)
                return
            except UNANSWERED:
                if self._process.poll() is not None:
                    raise SystemExit("a server did not start") from None
                time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Ledger:
    """What was answered, and which callbacks arrived."""

    tunes: dict[int, str] = field(default_factory=dict)  # id -> title
    prompts: dict[int, int] = field(default_factory=dict)  # id -> tune
    photos: dict[int, bytes] = field(default_factory=dict)  # tune -> uploaded bytes
    deleted: set[str] = field(default_factory=set)  # paths
    deleting: set[str] = field(default_factory=set)  # paths whose deletion may have happened
    received: Counter[str] = field(default_factory=Counter)  # path of the callback -> times
    unknown: set[str] = field(default_factory=set)  # paths of callbacks that may not have been sent
    resent: int = 0


class Client:
    """Sends requests until they are answered, by any of the servers."""

    def __init__(self, servers: list[Server], ledger: Ledger, hook: str, seed: int):
        self._servers, self._ledger, self._hook = servers, ledger, hook
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._seed = seed
        self._own: list[int] = []

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        while True:
            url = self._random.choice(self._servers).url
            try:
                return requests.request(method, url + path, headers=HEADERS, timeout=20, **kwargs)
            except UNANSWERED:
                self._ledger.resent += 1
                time.sleep(0.02)

    def act(self) -> None:
        draw = self._random.random()
        if draw < 0.6 or not self._own:
            self.create_tune()
        elif draw < 0.85:
            self.create_prompt(self._random.choice(self._own))
        else:
            self.delete_tune(self._own.pop(self._random.randrange(len(self._own))))

    def create_tune(self) -> None:
        title = f"{self._seed}-{next(self._numbers)}"
        fields = {"title": title, "name": "woman", "branch": "fast"}
        fields["callback"] = f"{self._hook}/tune/{title}?x=1"
        nested = {"text": f"nested in {title}", "callback": f"{self._hook}/nested/{title}"}
        if self._random.random() < 0.3:
            photo = photograph(self._random.randrange(256))
            form = {f"tune[{name}]": value for name, value in fields.items()}
            form |= {f"tune[prompts_attributes][][{name}]": v for name, v in nested.items()}
            files = {"tune[images][]": ("a.png", photo, "image/png")}
            response = self.ask("POST", "/tunes", data=form, files=files)
        else:
            photo = b""
            body = {**fields, "image_urls": ["http://a.test/1"], "prompts_attributes": [nested]}
            response = self.ask("POST", "/tunes", json={"tune": body})
        expect(response, 201)
        id = response.json()["id"]
        self._ledger.tunes[id] = title
        self._own.append(id)
        if photo:
            self._ledger.photos[id] = photo

    def create_prompt(self, tune: int) -> None:
        text = f"{self._seed}-{next(self._numbers)}"
        body = {"text": text, "callback": f"{self._hook}/prompt/{text}"}
        response = self.ask("POST", f"/tunes/{tune}/prompts", json={"prompt": body})
        expect(response, 201)
        self._ledger.prompts[response.json()["id"]] = tune

    def delete_tune(self, tune: int) -> None:
        path = f"/tunes/{tune}"
        self._ledger.deleting.add(path)
        # A deletion without an answer may have been done: then the next one gets 404.
        expect(self.ask("DELETE", path), 200, 404)
        self._ledger.deleted.add(path)


def expect(response: requests.Response, *statuses: int) -> None:
    if response.status_code not in statuses:
        raise AssertionError(f"{response.request.url}: {response.status_code} {response.text}")


def photograph(shade: int) -> bytes:
    """A small PNG."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 90, 120)).save(out, "PNG")
    return out.getvalue()


def receive(ledger: Ledger) -> ThreadingHTTPServer:
    """Start a server that counts callbacks by their path."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            ledger.received[self.path.partition("?")[0]] += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
