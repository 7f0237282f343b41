"""The clients that note what the servers have answered."""

import io
import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from PIL import Image, PngImagePlugin

from tools.crash.servers import Server

HEADERS = {"Authorization": "Bearer sd_crash"}


MARK = b"the-mark-of-a-photograph"  # in the bytes of each
# A truncated answer counts as none.
UNANSWERED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


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

    def forget(self) -> None:
        """Everything was erased by a reset, and ids begin anew."""
        for noted in (self.tunes, self.prompts, self.photos, self.deleted, self.deleting):
            noted.clear()


class Client:
    """Sends requests until they are answered, by any of the servers."""

    def __init__(self, servers: list[Server], ledger: Ledger, hook: str, seed: int):
        self._servers, self._ledger, self._hook = servers, ledger, hook
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._seed = seed
        self._own: list[int] = []
        self.turn = threading.Lock()  # held while the client is to pause

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        while True:
            url = self._random.choice(self._servers).url
            try:
                answer = requests.request(method, url + path, headers=HEADERS, timeout=20, **kwargs)
                if answer.status_code != 503:  # else the disk or the database is in trouble
                    return answer
            except UNANSWERED:
                pass
            self._ledger.resent += 1
            time.sleep(0.02)

    def forget(self) -> None:
        """All of its tunes were erased."""
        self._own.clear()

    def act(self) -> None:
        with self.turn:
            self._act()

    def _act(self) -> None:
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
    """A small PNG with the mark."""
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", MARK.decode())
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 90, 120)).save(out, "PNG", pnginfo=about)
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
