"""Requests that wait for files of other servers keep nobody else waiting."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from astria_emulator.objects import fetching
from astria_emulator.server import http_server as server_module
from tests import PATIENCE_SECONDS, wait_until
from tests.server.raw_clients import END, POST, TUNE, Running, answer_of

FETCHING = POST + b"Content-Length: %d\r\n" % len(TUNE) + END + TUNE
PLAIN = b'{"tune": {"title": "t"}}'
REFUSED = POST + b"Content-Length: %d\r\n" % len(PLAIN) + END + PLAIN


class Site:
    """Another server, which answers nothing before `answering` is set."""

    def __init__(self) -> None:
        self.asked, self.answering = 0, threading.Event()

    def fetch(self, url: str, **limits: Any) -> None:
        self.asked += 1
        assert self.answering.wait(PATIENCE_SECONDS)
        raise fetching.door.Failed("answered 404")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site()
    monkeypatch.setattr(fetching.door, "fetch", site.fetch)
    monkeypatch.setattr(server_module, "THREADS", 2)
    yield site
    site.answering.set()


def test_others_are_answered_while_files_are_waited_for(running: Any, site: Site) -> None:
    server: Running = running(assume=("fetching=always",))
    clients = [server.connect(FETCHING) for _ in range(20)]
    wait_until(lambda: site.asked == 20)
    assert server.serves()
    assert server.ask(REFUSED)[0] == 422
    site.answering.set()
    assert {answer_of(client)[0] for client in clients} == {422}


def test_requests_that_fetch_are_bounded(
    running: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_free", threading.Semaphore(1))
    server: Running = running(assume=("fetching=always",))
    client = server.connect(FETCHING)
    wait_until(lambda: site.asked == 1)
    refused = server.connect(FETCHING)
    head = refused.recv(65536)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in head
    assert server.ask(REFUSED)[0] == 422
    site.answering.set()
    assert answer_of(client)[0] == 422
    assert server.ask(FETCHING)[0] == 422  # and so it fetches again


def test_only_what_may_fetch_has_other_threads(make_app: Any) -> None:
    always = make_app(assume=("fetching=always",))
    asked = [
        ("POST", "/tunes"),
        ("PATCH", "/prompts/1"),
        ("GET", "/tunes"),
        ("POST", "/_emulator/x"),
    ]
    assert [always.may_fetch(*one) for one in asked] == [True, True, False, False]
    assert not make_app().may_fetch("POST", "/tunes")
