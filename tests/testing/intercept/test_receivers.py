"""Callbacks within a test: kept, or delivered to the test's own application."""

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests
from flask import Flask, request

from astria_emulator import Astria, mock_astria
from tests import PATIENCE_SECONDS
from tests.testing.intercept.clients import HEADERS, TUNE, URL

HOOK = "https://app.example/hook?user=1&user=2&t=%7Bx%7D"


def create(callback: str = HOOK, **more) -> int:
    body = {"tune": {**TUNE["tune"], "callback": callback, **more}}
    return requests.post(f"{URL}/tunes", json=body, headers=HEADERS).json()["id"]


def prompt(tune_id: int, callback: str | None = None, text: str = "ohwx woman") -> int:
    body = {"prompt": {"text": text, "num_images": 1, "callback": callback}}
    answer = requests.post(f"{URL}/tunes/{tune_id}/prompts", json=body, headers=HEADERS)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.fixture
def app() -> Flask:
    """An application that notes what calls back."""
    made = Flask("app")
    made.got = []

    @made.post("/hook")
    def hook() -> tuple[str, int]:
        made.got.append((request.query_string.decode(), request.json))
        return "", 204

    @made.post("/broken")
    def broken() -> str:
        raise ValueError("broken")

    return made


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


def asks_here(tune_id: int) -> None:
    prompt(tune_id, HOOK)


def asks_on_another_thread(tune_id: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(prompt, tune_id, HOOK).result(timeout=PATIENCE_SECONDS)


def app_that(asks: Callable[[int], None]) -> Flask:
    """The application of the service's own examples: a tune's call makes prompts."""
    app = Flask("app")
    app.got = []

    @app.post("/hook")
    def hook() -> str:
        app.got.extend(request.json)
        if tune := request.json.get("tune"):
            asks(tune["id"])
        return ""

    return app


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


@pytest.mark.parametrize(
    ("fault", "paths"),
    [
        ("callback-doubled", ["tune", "tune", "prompt"]),
        ("callback-dropped", ["prompt"]),
        ("callback-reordered", ["prompt", "tune"]),
    ],
)
def test_faults_of_callbacks_strike(astria: Astria, app: Flask, fault, paths):
    astria.deliver_to(app)
    astria.fault(fault, object="tune")
    create(prompts_attributes=[{"text": "ohwx woman", "callback": HOOK}])
    astria.finish()
    assert [next(iter(body)) for _, body in app.got] == paths
    assert astria.callbacks[0].fault == fault


def test_callback_that_times_out_arrives_all_the_same(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-timed-out")
    create()
    astria.finish()
    assert len(app.got) == 1
    assert (astria.callbacks[0].state, astria.callbacks[0].error) == ("failed", "timed out")


def test_early_callback_comes_before_the_answer(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-early", operation="create_tune")
    seen = []
    body = {"tune": {**TUNE["tune"], "callback": HOOK}}
    hooks = {"response": lambda answer, **_: seen.extend(app.got)}
    requests.post(f"{URL}/tunes", json=body, headers=HEADERS, hooks=hooks)
    assert len(seen) == 1


def test_calls_from_many_threads_are_delivered_once_each(astria: Astria, app: Flask):
    astria.deliver_to(app)
    threads = [threading.Thread(target=create, kwargs={"title": f"t{n}"}) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    astria.finish()
    ids = [body["tune"]["id"] for _, body in app.got]
    assert sorted(ids) == [tune.id for tune in astria.tunes]
    assert len(ids) == 20


def test_early_callbacks_receiver_may_ask_the_service(astria: Astria, early_waits: list[bool]):
    """And nobody waits for a call that waits for this very answer."""
    app = app_that(asks_here)
    astria.scenario("early-callbacks")
    astria.deliver_to(app)
    id = create()
    assert app.got[0] == "tune"
    astria.finish()
    assert (app.got, astria.tunes[0].id) == (["tune", "prompt"], id)
    assert early_waits == [True, True]


def test_late_callback_has_come_when_its_time_has_passed_in_one_step(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-delayed", seconds=60)
    create()
    astria.advance(hours=1)
    assert len(app.got) == 1


def test_reordered_callback_that_was_overtaken_moves_no_clock(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-reordered", seconds=3600, nth=1)
    before = astria.now
    create()
    create()
    astria.finish()
    assert len(app.got) == 2
    assert (astria.now - before).total_seconds() < 60
