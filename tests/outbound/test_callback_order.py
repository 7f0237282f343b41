"""Callbacks come in their order, and are logged."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from astria_emulator.clock import VirtualClock
from astria_emulator.faults.rules import Faults
from astria_emulator.outbound import delivery_log
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.outbound.outbox import ThreadOutbox
from astria_emulator.storage.store import CALLBACKS, Row, Store
from tests import PATIENCE_SECONDS, wait_until
from tests.outbound.callback_cases import START, closed_port, deliveries


# -- order -----------------------------------------------------------------------------------------
def test_tunes_call_ends_before_its_prompts_begins(
    callbacks: Callbacks, tune: Row, prompt: Row, gates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, order = threading.Event(), []
    submit = callbacks._outbox.submit

    def noted(call: Callable[[], None]) -> None:
        order.append("submit")
        submit(call)

    def act(path: str) -> None:
        assert both.wait(PATIENCE_SECONDS)
        order.append(path)

    monkeypatch.setattr(callbacks._outbox, "submit", noted)
    url = gates(act)
    callbacks.send(tune, url + "/tune", {})
    callbacks.send(prompt, url + "/prompt", {}, after=[("tune", tune.id)])
    both.set()
    assert callbacks.wait(PATIENCE_SECONDS)
    assert order == ["submit", "/tune", "submit", "/prompt"]


def test_call_waits_for_all_that_it_comes_after(
    callbacks: Callbacks, store: Store, tune: Row, gates: Any
) -> None:
    prompts = [store.insert("prompt", 1, {}) for _ in range(3)]
    order: list[str] = []
    lock = threading.Lock()

    def act(path: str) -> None:
        with lock:
            order.append(path)

    url = gates(act)
    for row in prompts:
        callbacks.send(row, f"{url}/{row.id}", {}, after=[("tune", tune.id)])
    callbacks.send(tune, f"{url}/last", {}, after=[("prompt", row.id) for row in prompts])
    assert callbacks.wait(PATIENCE_SECONDS)
    assert sorted(order[:3]) == [f"/{row.id}" for row in prompts]
    assert order[3:] == ["/last"]


def test_call_is_made_at_once_when_what_it_comes_after_has_ended_or_failed(
    callbacks: Callbacks, tune: Row, prompt: Row, receiver: Any
) -> None:
    callbacks.send(tune, f"http://127.0.0.1:{closed_port()}/", {})
    callbacks.send(
        prompt, receiver.url, {}, after=[("tune", tune.id), ("tune", 1), ("prompt", prompt.id)]
    )
    assert callbacks.wait(PATIENCE_SECONDS)
    assert len(receiver.received) == 1


def test_calls_for_different_objects_do_not_wait_for_each_other(
    callbacks: Callbacks, store: Store, gates: Any
) -> None:
    meet = threading.Barrier(4)
    url = gates(lambda path: meet.wait(PATIENCE_SECONDS))
    for _ in range(4):
        callbacks.send(store.insert("tune", 1, {}), url, {})
    assert callbacks.wait(PATIENCE_SECONDS)
    assert not meet.broken
    assert [row["status"] for row in deliveries(store)] == [200] * 4


def test_wait_tells_whether_every_call_has_ended(
    callbacks: Callbacks, tune: Row, gates: Any
) -> None:
    arrived, go = threading.Event(), threading.Event()

    def act(path: str) -> None:
        arrived.set()
        assert go.wait(PATIENCE_SECONDS)

    assert callbacks.wait(0)
    callbacks.send(tune, gates(act), {})
    assert arrived.wait(PATIENCE_SECONDS)
    assert not callbacks.wait(0)
    go.set()
    assert callbacks.wait(PATIENCE_SECONDS)


def test_wait_waits_for_both_calls_of_one_object(
    callbacks: Callbacks, store: Store, tune: Row, gates: Any
) -> None:
    arrived, go = threading.Event(), threading.Event()

    def act(path: str) -> None:
        if path == "/slow":
            arrived.set()
            assert go.wait(PATIENCE_SECONDS)

    url = gates(act)
    callbacks.send(tune, url + "/slow", {})
    assert arrived.wait(PATIENCE_SECONDS)
    quick = callbacks.send(tune, url + "/quick", {})
    wait_until(lambda: store.get("delivery", quick.id)["state"] == "delivered")
    ended = callbacks.wait(0)
    go.set()
    assert not ended
    assert callbacks.wait(PATIENCE_SECONDS)


# -- the log ---------------------------------------------------------------------------------------
def test_log_keeps_the_last_deliveries(
    callbacks: Callbacks, store: Store, tune: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_log, "LOG_SIZE", 5)
    store.delete(tune)  # nothing is sent
    for number in range(12):
        callbacks.send(tune, f"http://127.0.0.1:9/{number}", {})
    assert callbacks.wait(PATIENCE_SECONDS)
    assert [row["url"].rpartition("/")[2] for row in deliveries(store)] == [
        "11",
        "10",
        "9",
        "8",
        "7",
    ]


@pytest.mark.parametrize(
    "after",
    [
        "/hook?key=secret",
        "/hook?key=secret#secret",
        "/hook?key=my secret",
    ],
)
def test_query_string_is_not_logged(
    after: str, callbacks: Callbacks, tune: Row, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    callbacks.send(tune, receiver.url + after, {"body": "secret"})
    assert callbacks.wait(PATIENCE_SECONDS)
    callbacks.close()
    assert "secret" not in caplog.text
    place = receiver.url.removeprefix("http://") + "/hook"
    assert f"callback tune {tune.id} to {place!r}: " in caplog.text


def test_user_name_in_a_url_is_not_logged(
    callbacks: Callbacks, tune: Row, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    callbacks.send(tune, receiver.url.replace("//", "//user:secret@"), {})
    assert callbacks.wait(PATIENCE_SECONDS)
    callbacks.close()
    assert "secret" not in caplog.text
    assert "200" in caplog.text


def test_failed_call_is_a_warning_and_an_answered_one_is_not(
    callbacks: Callbacks, tune: Row, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    callbacks.send(tune, receiver.url, {})
    assert callbacks.wait(PATIENCE_SECONDS)
    callbacks.send(tune, f"http://127.0.0.1:{closed_port()}/", {})
    assert callbacks.wait(PATIENCE_SECONDS)
    callbacks.close()
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_call_to_an_address_that_cannot_be_read_is_logged(
    callbacks: Callbacks, store: Store, tune: Row, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks.send(tune, "http://[::1", {})
    assert callbacks.wait(PATIENCE_SECONDS)
    callbacks.close()
    assert deliveries(store)[0]["state"] == "failed"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_close_waits_for_calls_that_are_open(
    store: Store, tune: Row, gates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that goes on when it is asked to wait has ended when it is closed."""
    made = Callbacks(store, VirtualClock(START), ThreadOutbox(()), Faults(0))
    arrived, closing = threading.Event(), threading.Event()

    def act(path: str) -> None:
        arrived.set()
        assert closing.wait(PATIENCE_SECONDS)

    def then(wait: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: (closing.set(), wait(*args, **kwargs))[1]

    made.send(tune, gates(act), {})
    assert arrived.wait(PATIENCE_SECONDS)
    monkeypatch.setattr(made, "wait", then(made.wait))
    monkeypatch.setattr(made._outbox._pool, "shutdown", then(made._outbox._pool.shutdown))
    made.close()
    state = deliveries(store)[0]["state"]
    closing.set()
    assert state == "delivered"


# -- what has the ids of before --------------------------------------------------------------------
def recorded(store: Store, url: str, *refs: str) -> Row:
    """A delivery that has not ended."""
    about = {"object": "tune", "object_id": 1, "url": url, "body": {}, "state": "recorded"}
    return store.insert("delivery", None, {**about, "at": START}, refs=refs)


def test_call_that_ends_after_a_restore_lets_nobody_go(
    callbacks: Callbacks, store: Store, tune: Row, gates: Any
) -> None:
    def begin_anew(path: str) -> None:
        with store.transaction():
            store.reset()
            recorded(store, "http://a.test", f"open:tune:{tune.id}")
            recorded(store, "http://a.test", "before:1")

    delivery = callbacks.send(tune, gates(begin_anew), {})
    callbacks.close()
    assert [row.id for row in deliveries(store)] == [2, delivery.id]
    assert [(row["state"], row.refs) for row in deliveries(store)] == [
        ("recorded", ("before:1",)),
        ("recorded", (f"open:tune:{tune.id}",)),
    ]


def test_claim_of_before_a_restore_sends_nothing(
    callbacks: Callbacks, store: Store, receiver: Any
) -> None:
    store.add_job("send_callback", recorded(store, receiver.url), START)
    job = store.claim_job([CALLBACKS], None)
    assert job
    store.reset()
    recorded(store, receiver.url)
    callbacks._send(job)
    assert receiver.received == []
    assert [row["state"] for row in deliveries(store)] == ["recorded"]
