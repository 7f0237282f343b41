"""The forms that a receiver of callbacks may have, and where it runs."""

import asyncio
import json
import sys
import threading
from functools import partial
from typing import Any

import httpx
import pytest
import requests
import respx

from astria_emulator import Astria, mock_astria
from tests import PATIENCE_SECONDS
from tests.testing.intercept.clients import HEADERS, TUNE, URL

HOOK = "https://app.example/hook"


def create(**more: Any) -> None:
    body = {"tune": {**TUNE["tune"], "callback": HOOK, **more}}
    requests.post(f"{URL}/tunes", json=body, headers=HEADERS).raise_for_status()


class Application:
    """An ASGI application that notes what it gets, and may do something."""

    def __init__(self, act: Any = None):
        self.got: list[Any] = []
        self._act = act

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = json.loads((await receive())["body"])
        self.got.append((scope["path"], body))
        if self._act:
            await self._act(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def call(more: Application, scope: Any, receive: Any, send: Any) -> None:
    await more(scope, receive, send)


@pytest.mark.parametrize(
    "form",
    [lambda app: app, lambda app: app.__call__, lambda app: partial(call, app)],
    ids=["object", "method", "partial"],
)
def test_asgi_application_is_known_in_each_form(astria: Astria, form):
    app = Application()
    astria.deliver_to(form(app))
    create()
    astria.finish()
    assert [path for path, _ in app.got] == ["/hook"]


@pytest.mark.parametrize("wrong", [7, "localhost:3000", "ftp://a.example", ""])
def test_what_is_no_receiver_is_told_at_once(astria: Astria, wrong):
    with pytest.raises(TypeError, match="expected a WSGI or ASGI application"):
        astria.deliver_to(wrong)


def test_what_only_looks_like_a_receiver_has_failed(astria: Astria):
    astria.deliver_to(lambda: None)
    create()
    astria.finish()
    assert (astria.callbacks[0].state, astria.callbacks[0].error) == ("failed", "TypeError")


def test_asgi_application_without_httpx_is_told_at_once(astria: Astria, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(TypeError, match="pip install"):
        astria.deliver_to(Application())


def test_asgi_application_that_raises_has_failed(astria: Astria, caplog):
    async def act(body: Any) -> None:
        raise LookupError("no such user")

    astria.deliver_to(Application(act))
    create()
    astria.finish()
    [sent] = astria.callbacks
    assert (sent.state, sent.error, sent.status) == ("failed", "LookupError", None)
    assert "no such user" in caplog.text


def test_users_router_of_respx_does_not_see_the_call(astria: Astria):
    app = Application()
    astria.deliver_to(app)
    for using in ("httpcore", "httpx"):
        create()
        with respx.mock(using=using):
            astria.finish()
    assert len(app.got) == 2


def test_loop_of_the_thread_is_left_as_it_was(astria: Astria):
    astria.deliver_to(Application())
    create()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        astria.finish()
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_receiver_in_a_running_loop_asks_the_emulator_of_its_thread():
    """Each of two threads has a mock, and its callbacks are sent while its loop runs."""
    together = threading.Barrier(2, timeout=PATIENCE_SECONDS)
    seen: dict[str, list[str]] = {}

    def work(title: str) -> None:
        async def act(body: Any) -> None:
            async with httpx.AsyncClient(headers=HEADERS) as client:
                tunes = (await client.get(f"{URL}/tunes")).json()
                seen[title] = [tune["title"] for tune in tunes]

        async def main() -> None:
            create(title=title)
            astria.finish()

        with mock_astria(deliver_to=Application(act)) as astria:
            together.wait()
            asyncio.run(main())
            together.wait()

    threads = [threading.Thread(target=work, args=[title]) for title in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": ["a"], "b": ["b"]}


def test_base_of_an_address_may_end_with_a_slash_and_others_are_refused(receiver):
    with mock_astria(deliver_to=f"{receiver.url}/", other_hosts="refuse") as astria:
        create(callback=f"{HOOK}?user=1")
        astria.finish()
    assert [path for path, _ in receiver.received] == ["/hook?user=1"]
