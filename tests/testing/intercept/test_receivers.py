"""Callbacks within a test: kept, or delivered to the test's own application."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests
from flask import Flask

from astria_emulator import Astria, mock_astria
from tests import PATIENCE_SECONDS
from tests.testing.intercept.clients import HEADERS, TUNE, URL
from tests.testing.intercept.orders import HOOK, app_that, asks_here, create, prompt


def test_callback_is_recorded_and_never_leaves(astria: Astria):
    id = create()
    astria.finish()
    [call] = astria.callbacks
    assert (call.object, call.object_id, call.url, call.state) == ("tune", id, HOOK, "recorded")
    assert call.body["tune"]["id"] == id
    assert call.status is None


def test_callback_reaches_a_wsgi_application(astria: Astria, app: Flask):
    astria.deliver_to(app)
    id = create()
    assert app.got == []
    astria.finish()
    [(query, body)] = app.got
    assert (query, body["tune"]["id"]) == ("user=1&user=2&t=%7Bx%7D", id)
    [call] = astria.callbacks
    assert (call.state, call.status) == ("delivered", 204)


def test_callback_reaches_an_asgi_application(astria: Astria):
    got = []

    async def app(scope, receive, send):
        body = (await receive())["body"]
        got.append((scope["path"], scope["query_string"], json.loads(body)))
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    astria.deliver_to(app)
    id = create()
    astria.finish()
    [(path, query, body)] = got
    assert (path, query, body["tune"]["id"]) == ("/hook", b"user=1&user=2&t=%7Bx%7D", id)
    assert astria.callbacks[0].status == 202


def test_callback_reaches_a_server_by_the_base_of_its_address(astria: Astria, receiver):
    astria.deliver_to(receiver.url)
    create()
    astria.finish()
    assert [path for path, _ in receiver.received] == ["/hook?user=1&user=2&t=%7Bx%7D"]


def test_receiver_can_be_given_with_the_mock(app: Flask):
    with mock_astria(deliver_to=app) as astria:
        create()
        astria.finish()
    assert len(app.got) == 1


def test_recorded_callback_is_delivered_by_hand_and_again(astria: Astria, app: Flask):
    create()
    astria.finish()
    sent = astria.callbacks[0].deliver(app)
    assert (sent.id, sent.state, sent.status) == (1, "delivered", 204)
    again = astria.callbacks[0].deliver(app)
    assert (again.id, again.state) == (2, "delivered")
    assert len(app.got) == 2
    assert app.got[0] == app.got[1]


def test_delivery_by_hand_needs_a_receiver(astria: Astria):
    create()
    astria.finish()
    with pytest.raises(TypeError, match="deliver_to"):
        astria.callbacks[0].deliver()


@pytest.mark.parametrize("receiver", [7, object()])
def test_receiver_that_is_none_is_refused(astria: Astria, receiver):
    with pytest.raises(TypeError, match="WSGI or ASGI"):
        astria.deliver_to(receiver)


@pytest.mark.parametrize("testing", [False, True])
def test_receiver_that_raises_has_failed_and_is_logged(astria: Astria, app, caplog, testing):
    app.testing = testing
    astria.deliver_to(app)
    create("https://app.example/broken")
    astria.finish()
    [call] = astria.callbacks
    if testing:  # Flask hands the exception on
        assert (call.state, call.error) == ("failed", "ValueError")
        assert "the receiver of a callback" in caplog.text
    else:
        assert (call.state, call.status) == ("delivered", 500)


def test_a_tunes_call_comes_before_those_of_its_prompts(astria: Astria, app: Flask):
    astria.deliver_to(app)
    create(prompts_attributes=[{"text": "ohwx woman", "callback": HOOK}])
    astria.finish()
    assert [next(iter(body)) for _, body in app.got] == ["tune", "prompt"]


def test_callbacks_come_before_the_next_answer(astria: Astria, app: Flask):
    """An application that polls sees the call by the time that it sees the result."""
    astria.deliver_to(app)
    id = create()
    for _ in range(5):
        shown = requests.get(f"{URL}/tunes/{id}", headers=HEADERS).json()
        assert bool(shown["trained_at"]) == bool(app.got)
    assert app.got


def asks_on_another_thread(tune_id: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(prompt, tune_id, HOOK).result(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("asks", [asks_here, asks_on_another_thread])
def test_receiver_may_ask_the_service(astria: Astria, asks):
    app = app_that(asks)
    astria.deliver_to(app)
    create()
    astria.finish()
    assert app.got == ["tune", "prompt"]
    assert astria.prompts[0].images


def test_asgi_receiver_may_ask_the_service(astria: Astria):
    got = []

    async def app(scope, receive, send):
        body = json.loads((await receive())["body"])
        got.extend(body)
        if "tune" in body:
            async with httpx.AsyncClient(base_url=URL, headers=HEADERS) as client:
                asked = {"prompt": {"text": "ohwx woman", "callback": HOOK}}
                await client.post(f"/tunes/{body['tune']['id']}/prompts", json=asked)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def test() -> None:
        """The loop of this thread runs meanwhile."""
        astria.deliver_to(app)
        async with httpx.AsyncClient(base_url=URL, headers=HEADERS) as client:
            await client.post("/tunes", json={"tune": {**TUNE["tune"], "callback": HOOK}})
        astria.finish()

    asyncio.run(test())
    assert got == ["tune", "prompt"]


def test_work_without_an_end_is_told(astria: Astria):
    app = Flask("app")
    app.add_url_rule("/hook", view_func=lambda: (asks_here(690204), "")[1], methods=["POST"])
    astria.deliver_to(app)
    asks_here(690204)
    with pytest.raises(RuntimeError, match="there is no end"):
        astria.finish()
