"""Pictures that are being drawn hold no thread of the server."""

import threading
from typing import Any

import pytest

from astria_emulator.mock import rendering
from astria_emulator.server import http_server as server_module
from tests import PATIENCE_SECONDS, wait_until
from tests.server.raw_clients import END, HOST, Running, answer_of

HEALTH = b"GET /_emulator/health HTTP/1.1\r\n" + HOST + END


class Slow:
    """A server of two threads whose pictures are drawn when `drawing` is set."""

    def __init__(self, app: Any, server: Running, monkeypatch: pytest.MonkeyPatch):
        self.app, self.server = app, server
        self.drawing, self.drawn = threading.Event(), list[Any]()
        real = rendering.render

        def render(recipe: Any) -> bytes:
            self.drawn.append(recipe)
            assert self.drawing.wait(PATIENCE_SECONDS)
            return real(recipe)

        monkeypatch.setattr(rendering, "render", render)

    def paths(self, pictures: int) -> list[bytes]:
        """Paths of pictures that are not drawn yet."""
        client, key = self.app.test_client(), {"Authorization": "Bearer sd_test"}
        wanted = {"text": "a", "num_images": pictures, "w": 64, "h": 64}
        made = client.post("/tunes/690204/prompts", json={"prompt": wanted}, headers=key).json
        client.post("/_emulator/finish")
        urls = client.get(f"/prompts/{made['id']}", headers=key).json["images"]
        return [b"/" + url.rpartition("/")[2].encode() for url in urls]

    def ask(self, path: bytes, *sent: bytes) -> Any:
        return self.server.connect(b"GET %s HTTP/1.1\r\n" % path + HOST + END, *sent)


@pytest.fixture
def slow(running: Any, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(server_module, "THREADS", 2)
    app = make_app()
    server: Running = running(app=app)
    made = Slow(app, server, monkeypatch)
    yield made
    made.drawing.set()


def test_others_are_answered_while_pictures_are_drawn(slow: Slow) -> None:
    clients = [slow.ask(path) for path in slow.paths(8)]
    wait_until(lambda: len(slow.drawn) == 2)
    assert slow.server.ask(HEALTH)[0] == 200
    slow.drawing.set()
    answers = [answer_of(client) for client in clients]
    assert {status for status, _ in answers} == {200}
    assert len({picture for _, picture in answers}) == 8


def test_one_drawing_serves_all_who_ask_for_a_picture(slow: Slow) -> None:
    [path] = slow.paths(1)
    clients = [slow.ask(path) for _ in range(8)]
    wait_until(lambda: len(slow.drawn) == 1)
    assert slow.server.ask(HEALTH)[0] == 200
    slow.drawing.set()
    [(status, _)] = {answer_of(client) for client in clients}
    assert (status, len(slow.drawn)) == (200, 1)


def test_request_that_waited_counts_once(slow: Slow) -> None:
    [path] = slow.paths(1)
    before = len(slow.app.services.journal.entries())
    client = slow.ask(path, HEALTH)  # which is answered after it
    wait_until(lambda: len(slow.drawn) == 1)
    slow.drawing.set()
    assert answer_of(client)[0] == 200
    assert len(slow.app.services.journal.entries()) == before + 1


def test_client_that_goes_while_it_waits_disturbs_nobody(slow: Slow) -> None:
    first, second = slow.paths(2)
    slow.ask(first).close()
    client = slow.ask(second)
    wait_until(lambda: len(slow.drawn) == 2)
    slow.drawing.set()
    assert answer_of(client)[0] == 200


def test_picture_that_cannot_be_drawn_is_an_error_for_each(
    slow: Slow, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(recipe: Any) -> bytes:
        raise MemoryError

    [path] = slow.paths(1)
    monkeypatch.setattr(rendering, "render", broken)
    assert answer_of(slow.ask(path)) == (500, {"status": 500, "error": "Internal Server Error"})
    caplog.clear()
