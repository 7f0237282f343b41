"""What is sent to whom, once, in which order, and what is remembered of it."""

import threading
from typing import Any

import pytest

from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.storage.store import Row, Store
from tests import PATIENCE_SECONDS
from tests.outbound.callback_cases import START, closed_port, deliveries


# -- once ------------------------------------------------------------------------------------------
def test_callback_is_delivered_with_its_body(
    callbacks: Callbacks, store: Store, tune: Row, receiver: Any
) -> None:
    callbacks.send(tune, receiver.url + "/hook?id={X}", {"tune": {"title": "Zoë"}})
    assert callbacks.wait(PATIENCE_SECONDS)
    assert receiver.received == [("/hook?id={X}", {"tune": {"title": "Zoë"}})]
    [delivery] = deliveries(store)
    assert delivery["seconds"] >= 0
    assert {**delivery, "seconds": None} == {
        "id": delivery.id,
        "object": "tune",
        "object_id": tune.id,
        "url": receiver.url + "/hook?id={X}",
        "body": {"tune": {"title": "Zoë"}},
        "state": "delivered",
        "at": START,
        "status": 200,
        "error": None,
        "seconds": None,
    }


def test_attempt_is_recorded_before_it_is_sent(
    callbacks: Callbacks, store: Store, tune: Row, gates: Any
) -> None:
    seen: list[Any] = []
    url = gates(lambda path: seen.extend(row["state"] for row in deliveries(store)))
    callbacks.send(tune, url, {})
    assert callbacks.wait(PATIENCE_SECONDS)
    assert seen == ["recorded"]


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500, 503])
def test_callback_is_not_sent_again_whatever_is_answered(
    status: int, callbacks: Callbacks, store: Store, tune: Row, receiver: Any
) -> None:
    receiver.status = status
    callbacks.send(tune, receiver.url, {})
    assert callbacks.wait(PATIENCE_SECONDS)
    assert len(receiver.received) == 1
    assert [(row["state"], row["status"]) for row in deliveries(store)] == [("delivered", status)]


def test_callback_is_not_sent_again_when_nobody_listens(
    callbacks: Callbacks, store: Store, tune: Row
) -> None:
    callbacks.send(tune, f"http://127.0.0.1:{closed_port()}/", {})
    assert callbacks.wait(PATIENCE_SECONDS)
    [delivery] = deliveries(store)
    assert (delivery["state"], delivery["status"]) == ("failed", None)
    assert delivery["error"].startswith("ConnectionRefusedError")


def test_callback_is_blocked_when_its_host_is_not_allowed(
    callbacks: Callbacks, store: Store, tune: Row
) -> None:
    callbacks.send(tune, "http://169.254.169.254/", {})
    assert callbacks.wait(PATIENCE_SECONDS)
    assert deliveries(store)[0]["error"].startswith("blocked: ")


def test_callback_is_dropped_when_its_object_is_gone(
    callbacks: Callbacks, store: Store, tune: Row, receiver: Any
) -> None:
    store.delete(tune)
    callbacks.send(tune, receiver.url, {})
    assert callbacks.wait(PATIENCE_SECONDS)
    assert receiver.received == []
    [delivery] = deliveries(store)
    assert (delivery["state"], delivery["error"]) == ("dropped", "the object was deleted")


def test_callback_that_waits_is_dropped_when_its_object_goes_in_the_meantime(
    callbacks: Callbacks, store: Store, tune: Row, prompt: Row, gates: Any
) -> None:
    arrived, go = threading.Event(), threading.Event()
    paths: list[str] = []

    def act(path: str) -> None:
        paths.append(path)
        arrived.set()
        assert go.wait(PATIENCE_SECONDS)

    url = gates(act)
    callbacks.send(tune, url + "/tune", {})
    callbacks.send(prompt, url + "/prompt", {}, after=[("tune", tune.id)])
    assert arrived.wait(PATIENCE_SECONDS)
    store.delete(prompt)
    go.set()
    assert callbacks.wait(PATIENCE_SECONDS)
    assert paths == ["/tune"]
    assert [row["state"] for row in deliveries(store)] == ["dropped", "delivered"]


def test_interrupted_callback_is_unknown_and_not_sent_again_by_itself(
    callbacks: Callbacks, store: Store, tune: Row, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks._outbox, "submit", lambda act: None)
    callbacks.send(tune, receiver.url, {})
    job = store.claim_job(["callbacks"], None)  # the attempt is recorded; then the process ends
    assert job is not None
    store.release_job(job)
    store.renew_claims()
    callbacks._senders.work()
    monkeypatch.undo()
    [delivery] = deliveries(store)
    assert delivery["state"] == "unknown"
    assert receiver.received == []
    again = callbacks.send_again(delivery)
    assert callbacks.wait(PATIENCE_SECONDS)
    assert len(receiver.received) == 1
    states = [(row.id, row["state"], row.get("redelivery_of")) for row in deliveries(store)]
    assert states == [(again.id, "delivered", delivery.id), (delivery.id, "unknown", None)]


def test_callback_whose_result_could_not_be_noted_is_unknown(
    callbacks: Callbacks, store: Store, tune: Row, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks._outbox, "submit", lambda act: None)
    callbacks.send(tune, receiver.url, {})
    end = callbacks._end
    monkeypatch.setattr(callbacks, "_end", lambda *_: {}["away"])
    callbacks._senders.work()
    monkeypatch.setattr(callbacks, "_end", end)
    store.renew_claims()
    callbacks._senders.work()
    assert [row["state"] for row in deliveries(store)] == ["unknown"]
    assert len(receiver.received) == 1


def test_callback_that_was_recorded_when_the_process_ended_is_sent_later(
    callbacks: Callbacks, store: Store, tune: Row, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks._outbox, "submit", lambda act: None)
    callbacks.send(tune, receiver.url, {})
    monkeypatch.undo()
    assert not callbacks.wait(0)
    callbacks.resume()
    assert callbacks.wait(PATIENCE_SECONDS)
    assert len(receiver.received) == 1
