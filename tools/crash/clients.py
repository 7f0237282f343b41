"""The clients that note what servers have answered, and the receiver of callbacks."""

import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import requests

from tools.crash.ledger import UNSURE, Ledger, photograph
from tools.crash.servers import Server

# A truncated answer counts as none.
UNANSWERED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
HEADERS = {"Authorization": "Bearer sd_crash"}
TIMEOUT_SECONDS = 30.0  # longer than a server waits for its database
PATIENCE_SECONDS = 300.0  # with servers that do not answer, or answer 503 only
PAUSE_SECONDS = 0.01  # of a client between two requests
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, and lose what was not sent


class Client:
    """Sends requests until they are answered, by any of the servers."""

    def __init__(self, servers: Sequence[Server], ledger: Ledger, hook: str, seed: int):
        self._servers, self._ledger, self._hook = servers, ledger, hook
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._seed = seed
        self._own: list[int] = []

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            url = self._random.choice(self._servers).url
            try:
                response = requests.request(
                    method, url + path, headers=HEADERS, timeout=TIMEOUT_SECONDS, **kwargs
                )
            except UNANSWERED:
                self._ledger.totals["sent again"] += 1
            else:
                if response.status_code != 503:
                    return response
                self._ledger.totals["503"] += 1
            time.sleep(0.02)
        raise AssertionError(f"{method} {path}: not answered for {PATIENCE_SECONDS:g} s")

    def act(self) -> None:
        draw = self._random.random()
        if draw < 0.5 or not self._own:
            self.create_tune()
        elif draw < 0.75:
            self.create_prompt(self._random.choice(self._own))
        elif draw < 0.85:
            self.look_at(self._random.choice(self._own))
        else:
            self.delete_tune(self._own.pop(self._random.randrange(len(self._own))))

    def adopt(self) -> None:
        """Go on with the tunes of the ledger's world, which has been replaced."""
        world = self._ledger.world
        self._own = [
            id
            for id, title in world.tunes.items()
            if title.startswith(f"{self._seed}-") and id not in world.deleting
        ]

    def create_tune(self) -> None:
        title = f"{self._seed}-{next(self._numbers)}"
        fields = tune_fields(title, self._hook)
        nested = {"text": f"nested in {title}", "callback": f"{self._hook}/nested/{title}"}
        photo = b""
        if self._random.random() < 0.3:
            photo = photograph(title)
            form = {f"tune[{name}]": value for name, value in fields.items()}
            form |= {f"tune[prompts_attributes][][{name}]": v for name, v in nested.items()}
            files = {"tune[images][]": ("a.png", photo, "image/png")}
            response = self.ask("POST", "/tunes", data=form, files=files)
        else:
            body = {**fields, "image_urls": ["http://a.test/1"], "prompts_attributes": [nested]}
            response = self.ask("POST", "/tunes", json={"tune": body})
        expect(response, 201)
        id = response.json()["id"]
        self._ledger.add_tune(id, title, photo)
        self._own.append(id)

    def create_lasting_tune(self) -> None:
        """Create a tune that is not deleted: so the world differs from an earlier copy of it."""
        self.create_tune()
        self._own.pop()

    def create_prompt(self, tune: int) -> None:
        text = f"{self._seed}-{next(self._numbers)}"
        body = {"text": text, "callback": f"{self._hook}/prompt/{text}"}
        response = self.ask("POST", f"/tunes/{tune}/prompts", json={"prompt": body})
        expect(response, 201)
        self._ledger.add_prompt(response.json()["id"], tune, text)

    def look_at(self, tune: int) -> None:
        """Fetch a picture of a tune's prompts, which draws it."""
        response = self.ask("GET", f"/tunes/{tune}/prompts")
        expect(response, 200)
        for url in [url for prompt in response.json() for url in prompt["images"]][:1]:
            expect(self.ask("GET", urlsplit(url).path), 200)

    def delete_tune(self, tune: int) -> None:
        self._ledger.world.deleting.add(tune)
        # A deletion without an answer may have been done: then the next one gets 404.
        expect(self.ask("DELETE", f"/tunes/{tune}"), 200, 404)
        self._ledger.world.deleted.add(tune)
        self._ledger.totals["deleted"] += 1


class Load:
    """Clients at work on threads, which can be paused between two requests."""

    def __init__(self, clients: Sequence[Client]):
        self.clients = clients
        self.problems: list[str] = []
        self._going, self._ended = threading.Event(), threading.Event()
        self._going.set()
        self._locks = [threading.Lock() for _ in clients]
        self._threads = [
            threading.Thread(target=self._work, args=[client, lock], daemon=True)
            for client, lock in zip(clients, self._locks, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """All requests have been answered, and no other is sent."""
        self._going.clear()
        for lock in self._locks:
            lock.acquire()
        try:
            yield
        finally:
            for lock in self._locks:
                lock.release()
            self._going.set()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _work(self, client: Client, lock: threading.Lock) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            self._going.wait()
            try:
                with lock:
                    client.act()
            except Exception as error:
                self.problems.append(f"a client: {type(error).__name__}: {error}")
                return


def tune_fields(title: str, hook: str) -> dict[str, str]:
    callback = f"{hook}/tune/{title}?x=1"
    return {"title": title, "name": "woman", "branch": "fast", "callback": callback}


def expect(response: requests.Response, *statuses: int) -> None:
    if response.status_code not in statuses:
        request = response.request
        told = f"{request.method} {request.url}: {response.status_code} {response.text[:300]}"
        raise AssertionError(told)


def upload(url: str, title: str, hook: str, size: int) -> tuple[bytes, bytes]:
    """The head and the body of a POST of a tune with a photograph of `size` bytes."""
    form = {f"tune[{name}]": value for name, value in tune_fields(title, hook).items()}
    files = {"tune[images][]": ("a.png", photograph(title, size), "image/png")}
    request = requests.Request("POST", f"{url}/tunes", HEADERS, files, form).prepare()
    headers = {"Host": urlsplit(url).netloc, **request.headers}
    head = "POST /tunes HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    assert isinstance(request.body, bytes)
    return f"{head}\r\n".encode(), request.body


def cut_connections(url: str, hook: str, generator: random.Random) -> None:
    """Send requests, whole or in part, and reset their connections without reading an answer."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    for _ in range(10):
        title = f"{UNSURE}{generator.randrange(1 << 32)}"
        data = b"".join(upload(url, title, hook, 50_000))
        length = generator.choice([len(data), generator.randrange(len(data))])
        with suppress(OSError), socket.create_connection((host, port)) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.sendall(data[:length])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)


def receive(ledger: Ledger) -> ThreadingHTTPServer:
    """Start a server that counts callbacks by their path."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                ledger.received[self.path.partition("?")[0]] += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
