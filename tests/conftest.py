"""Fixtures: an application on a virtual clock, and a client whose key is the account."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from werkzeug.test import TestResponse

from astria_emulator import Config, create_app
from astria_emulator.api import views
from astria_emulator.app import Emulator
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.server.background import serving
from astria_emulator.storage.store import Store
from tests import PATIENCE_SECONDS
from tests.databases import STORES
from tests.listeners import listening

START = "2026-01-01T00:00:00Z"

# How long an example takes is the machine's doing.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


def pytest_addoption(parser: pytest.Parser) -> None:
    help = "what tests/behaviour keeps its objects in; the wire does not tell"
    parser.addoption("--store", choices=list(STORES), default="memory", help=help)


@dataclass(frozen=True)
class Api:
    """Calls the application as one account. The virtual clock moves 1 s with every call."""

    client: FlaskClient
    key: str = "sd_test"

    def call(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}", **kwargs.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Any:
        """The JSON of a GET that must succeed."""
        response = self.call("GET", path, **kwargs)
        assert response.status_code == 200, response.text
        return response.json

    def post(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        """The JSON of a POST that must create."""
        response = self.call("POST", path, json=json, **kwargs)
        assert response.status_code == 201, response.text
        return response.json

    def tune(self, **attributes: Any) -> Any:
        """Create a tune; a fast checkpoint of one picture unless told otherwise."""
        given = {
            "title": "Jane",
            "name": "woman",
            "branch": "fast",
            "image_urls": ["https://example.com/1.jpg"],
        }
        return self.post("/tunes", {"tune": {**given, **attributes}})

    def prompt(self, tune_id: int, text: str = "ohwx woman by the sea", **attributes: Any) -> Any:
        return self.post(f"/tunes/{tune_id}/prompts", {"prompt": {"text": text, **attributes}})

    def finish(self) -> None:
        """Complete all work and wait for its callbacks."""
        assert self.client.post("/_emulator/finish").status_code == 200


@pytest.fixture
def make_app() -> Iterator[Callable[..., Emulator]]:
    """Makes applications on a virtual clock, and closes them."""
    made: list[Emulator] = []

    def make(*, spec_path: Path | None = None, **settings: Any) -> Emulator:
        made.append(create_app(Config(**{"clock": START, **settings}), spec_path=spec_path))
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture
def make_api(make_app: Callable[..., Emulator]) -> Callable[..., Api]:
    """Makes an `Api` on an application of its own with these settings."""
    return lambda **settings: Api(make_app(**settings).test_client())


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


@dataclass
class Receiver:
    """Listens for callbacks on loopback."""

    url: str = ""
    status: int = 200
    received: list[tuple[str, Any]] = field(default_factory=list)  # (path with query, JSON body)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A callback receiver that notes what it gets, in the order of arrival."""
    import json

    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append((self.path, json.loads(body)))
            found.headers.append(dict(self.headers))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with listening(Handler) as found.url:
        yield found


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serves an application over HTTP on a free port, in a thread; returns its URL."""
    with ExitStack() as running:
        yield lambda app: f"http://127.0.0.1:{running.enter_context(serving(app))}"


@pytest.fixture(scope="session")
def kept_store() -> Iterator[Callable[[str], Store]]:
    """Opens a store of each kind once."""
    kept: dict[str, Store] = {}
    with ExitStack() as opened:

        def keep(kind: str) -> Store:
            if kind not in kept:
                kept[kind] = opened.enter_context(STORES[kind]())
            return kept[kind]

        yield keep


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, kept_store: Callable[[str], Store]) -> Store:
    """An empty store, of each kind in turn."""
    store = kept_store(request.param)
    store.reset()
    return store


@pytest.fixture
def early_waits(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each answer that waits for its callbacks, whether they ended; none loses patience soon."""
    ended: list[bool] = []
    wait = Callbacks.wait

    def noted(callbacks: Callbacks, seconds: float, **of: Any) -> bool:
        found = wait(callbacks, seconds, **of)
        if of:
            ended.append(found)
        return found

    monkeypatch.setattr(views, "EARLY_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(Callbacks, "wait", noted)
    return ended


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, list[str]]], list[str]]:
    """Makes names resolve to addresses; returns the list of names that were looked up."""
    real = socket.getaddrinfo

    def make(table: dict[str, list[str]]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            if host not in table:
                return real(host, port, *args, flags=socket.AI_NUMERICHOST)
            asked.append(host)
            return [info for at in table[host] for info in real(at, port, *args, **kwargs)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return make
