"""The server stops cleanly, and callbacks come after answers."""

import io
import json
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests
from PIL import Image

from astria_emulator.server.background import serving
from astria_emulator.server.http_server import Server
from astria_emulator.work import answer_holds
from tests import PATIENCE_SECONDS, wait_until
from tests.listeners import listening
from tests.server.processes import KEY

HELD_BACK_SECONDS = 0.1


# -- stop ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_ends_with_0(start, number):
    process = start()
    with socket.create_connection(process.address):  # an open connection does not hold it up
        assert process.get("/_emulator/health").ok
        assert process.end(number) == 0


def send_head(connection: socket.socket, method: str, path: str, *lines: str) -> None:
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Authorization: Bearer sd_test", *lines]
    connection.sendall("\r\n".join([*head, "", ""]).encode())


def wait_until_closed(address: tuple[str, int]) -> None:
    """Return when a server no longer takes connections."""

    def is_closed() -> bool:
        try:
            socket.create_connection(address, timeout=PATIENCE_SECONDS).close()
        except ConnectionError:
            return True
        return False

    wait_until(is_closed)


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the answer to the one request on a connection."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        return status, stream.read(int(headers[b"content-length"]))


# in whatever test the collector runs.
def test_stopped_server_leaves_no_connection_open(make_app):
    server = Server(make_app(), "127.0.0.1", 0, max_body=1000)
    thread = threading.Thread(target=server.run)
    thread.start()
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=PATIENCE_SECONDS
    ) as connection:
        send_head(connection, "GET", "/_emulator/health")
        assert read_answer(connection)[0] == 200
        server.stop()
        thread.join()
        assert connection.recv(1) == b""  # closed by the server


def test_request_that_is_being_sent_is_answered_when_the_server_is_told_to_stop(start):
    process = start("--train-seconds", 0)
    tune = {"title": "Jane", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}
    body = json.dumps({"tune": tune}).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with socket.create_connection(process.address, timeout=PATIENCE_SECONDS) as connection:
        send_head(connection, "POST", "/tunes", *lines, "Expect: 100-continue")
        assert b"100 Continue" in connection.recv(1000)  # the server has read the head
        connection.sendall(body[:20])
        process.popen.terminate()
        wait_until_closed(process.address)
        assert process.popen.poll() is None
        connection.sendall(body[20:])
        status, answer = read_answer(connection)
    assert (status, json.loads(answer)["title"]) == (201, "Jane")
    assert process.popen.wait(PATIENCE_SECONDS) == 0


def test_picture_that_is_being_drawn_is_sent_when_the_server_is_told_to_stop(start):
    process = start("--prompt-seconds", 0)
    large = {"text": "a lighthouse", "num_images": 1, "w": 2048, "h": 2048}
    made = process.post("/tunes/1504944/prompts", {"prompt": large})
    process.post("/_emulator/finish")
    [address] = process.get(f"/prompts/{made['id']}").json()["images"]
    with socket.create_connection(process.address, timeout=PATIENCE_SECONDS) as connection:
        send_head(connection, "GET", address.removeprefix(process.url))
        # Asked for later on another connection, so the picture is under way once this is answered.
        assert process.get("/_emulator/health").ok
        process.popen.terminate()
        wait_until_closed(process.address)
        status, answer = read_answer(connection)
    assert status == 200
    with Image.open(io.BytesIO(answer)) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("JPEG", (2048, 2048))
    assert process.popen.wait(PATIENCE_SECONDS) == 0


# -- callbacks after answers -----------------------------------------------------------------------
class Client:
    """Creates objects with callbacks to itself, over one connection.

    It leaves an answer unread until the callback has come. Which of them has come first is known
    without a clock: the answer is waiting in the connection as the callback comes, or it is not.
    """

    def __init__(self) -> None:
        self.callback_url = ""
        self._connection = HTTPConnection("")
        self._called = threading.Semaphore(0)
        self._answered: list[bool] = []

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        client = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                readable, _, _ = select.select([client._connection.sock], [], [], 0)
                client._answered.append(bool(readable))
                client._called.release()
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        return Handler

    def delayed(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """Hold answers back for a while, in which a callback that waits for none would come."""

        def call(environ: dict[str, Any], start: Any) -> Any:
            answer = application(environ, start)
            if self._called.acquire(timeout=HELD_BACK_SECONDS):
                self._called.release()
            return answer

        return call

    def create(self, path: str, body: dict[str, Any]) -> bool:
        """Create an object; returns whether the answer was there when the callback came."""
        headers = {**KEY, "Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)
        assert self._called.acquire(timeout=PATIENCE_SECONDS), "the callback has not come"
        answer = self._connection.getresponse()
        assert answer.status == 201, answer.read()
        answer.read()
        return self._answered.pop()

    @contextmanager
    def connected(self, port: int) -> Iterator["Client"]:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        with listening(self.handler) as self.callback_url:
            yield self
        self._connection.close()


@pytest.fixture
def client(make_app, monkeypatch) -> Iterator[Client]:
    # On a busy machine an answer may take longer than the work on its object is held back for.
    monkeypatch.setattr(answer_holds, "HOLD_SECONDS", PATIENCE_SECONDS)
    client, app = Client(), make_app(clock="", train_seconds=0, prompt_seconds=0)
    with serving(app, application=client.delayed(app)) as port, client.connected(port):
        yield client


CREATIONS = {
    "tune": (
        "/tunes",
        {
            "title": "Jane",
            "name": "woman",
            "branch": "fast",
            "image_urls": ["https://a.test/1.jpg"],
        },
    ),
    "prompt": ("/tunes/690204/prompts", {"text": "a lighthouse", "num_images": 1}),
}


@pytest.mark.parametrize("kind", CREATIONS)
def test_callback_never_arrives_before_the_answer(kind, client):
    path, attributes = CREATIONS[kind]
    body = {kind: {**attributes, "callback": client.callback_url}}
    assert [client.create(path, body) for _ in range(10)] == [True] * 10


def test_client_that_takes_no_answer_to_many_requests_stops_nobody():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "400000")])
        return [b"x" * 400_000]

    server = Server(app, "127.0.0.1", 0, max_body=500_000, is_quick=lambda *asked: True)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with socket.create_connection(("127.0.0.1", server.port)) as greedy:
        greedy.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        for _ in range(3):
            answer = requests.get(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE_SECONDS)
            assert len(answer.content) == 400_000
    server.stop()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize("is_quick", [True, False])
def test_thread_that_reads_requests_answers_those_that_are_quick(is_quick):
    answering = []

    def app(environ, start_response):
        answering.append(threading.current_thread())
        start_response("200 OK", [("Content-Length", "0")])
        return []

    asked = []

    def ask(*about):
        asked.append(about)
        return is_quick

    server = Server(app, "127.0.0.1", 0, max_body=1000, is_quick=ask)
    reading = threading.Thread(target=server.run, daemon=True)
    reading.start()
    assert requests.post(f"http://127.0.0.1:{server.port}/a", json=[1], timeout=PATIENCE_SECONDS).ok
    server.stop()
    reading.join()
    assert asked == [("/a", "application/json", 3)]
    assert [thread is reading for thread in answering] == [is_quick]
