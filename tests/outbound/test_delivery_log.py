"""What is remembered of callbacks, and calls that wait for others."""

from typing import Any

import pytest

from astria_emulator.clock import VirtualClock
from astria_emulator.faults.rules import Faults, Rule
from astria_emulator.outbound import callbacks as callbacks_module
from astria_emulator.outbound import delivery_log
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.storage.store import CALLBACKS, Row, Store
from tests.outbound.callback_cases import START, deliveries
from tests.outbound.fake_outbox import PatientOutbox


@pytest.fixture
def outbox() -> PatientOutbox:
    return PatientOutbox()


@pytest.fixture
def callbacks(store: Store, outbox: PatientOutbox) -> Callbacks:
    return Callbacks(store, VirtualClock(START), outbox, Faults(0))


@pytest.fixture
def _short_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_log, "LOG_SIZE", 3)


def ended(store: Store) -> list[int]:
    return [row.id for row in deliveries(store) if row["state"] != "recorded"]


# -- the log ---------------------------------------------------------------------------------------
@pytest.mark.usefixtures("_short_log")
def test_calls_that_wait_crowd_no_ended_ones_out(
    callbacks: Callbacks, store: Store, outbox: PatientOutbox, tune: Row
) -> None:
    outbox.stop, outbox.most = callbacks._senders.stop, 5
    for host in (*"aaaaa", *"bbbbbbb"):
        callbacks.send(tune, f"http://{host}.test", {})
    outbox.send()  # in turns: three calls to a, two to b
    assert ended(store) == [7, 6, 3]
    assert [row.id for row in callbacks.newest()] == [12, 11, 10, 7, 6, 3]
    assert len(deliveries(store)) == 7 + 3


@pytest.mark.usefixtures("_short_log")
def test_calls_that_a_fault_drops_are_no_more_than_others(store: Store, tune: Row) -> None:
    faults = Faults(0)
    faults.add(Rule("callback-dropped"))
    callbacks = Callbacks(store, VirtualClock(START), PatientOutbox(), faults)
    for _ in range(9):
        callbacks.send(tune, "http://a.test", {})
    assert ended(store) == [9, 8, 7]


def test_log_is_shortened_some_at_a_time_and_shown_in_full(
    callbacks: Callbacks,
    store: Store,
    outbox: PatientOutbox,
    tune: Row,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery_log, "LOG_SIZE", 60)
    with store.transaction():
        for _ in range(90):
            callbacks.send(tune, "http://a.test", {})
    outbox.send()
    assert 60 < len(ended(store)) < 60 + 60 // 20
    assert [row.id for row in callbacks.newest()] == [*range(90, 30, -1)]


# -- calls that wait -------------------------------------------------------------------------------
@pytest.fixture
def _two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks_module, "RELEASED_AT_ONCE", 2)


def waiting_for(callbacks: Callbacks, store: Store, tune: Row, count: int) -> None:
    callbacks.send(tune, "http://tune.test", {})
    for number in range(count):
        prompt = store.insert("prompt", 1, {})
        callbacks.send(prompt, f"http://prompt{number}.test", {}, after=[("tune", tune.id)])


@pytest.mark.usefixtures("_two_at_once")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_all_calls_that_waited_for_one_are_made(
    count: int, callbacks: Callbacks, store: Store, outbox: PatientOutbox, tune: Row
) -> None:
    waiting_for(callbacks, store, tune, count)
    outbox.send()
    assert outbox.called[0] == "tune.test:80"
    assert sorted(outbox.called[1:]) == [f"prompt{number}.test:80" for number in range(count)]
    assert not store.has_jobs(CALLBACKS)


@pytest.mark.usefixtures("_two_at_once")
@pytest.mark.parametrize("done", [0, 1, 2])
def test_calls_that_waited_are_made_after_an_interruption(
    done: int,
    callbacks: Callbacks,
    store: Store,
    outbox: PatientOutbox,
    tune: Row,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The result is stored with the first of them: then the call is not unknown."""
    waiting_for(callbacks, store, tune, 5)
    find, finds = callbacks._log.find, [None] * done

    def find_until_it_fails(*args: Any, **kwargs: Any) -> Any:
        finds.pop()
        return find(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks._log, "find", find_until_it_fails)
        patch.setattr(outbox, "submit", lambda send: None)
        callbacks._senders.stop()
        [job] = filter(None, [store.claim_job([CALLBACKS], None)])
        with pytest.raises(IndexError):
            callbacks._send(job)
        store.release_job(job)
        store.renew_claims()
    later = Callbacks(store, VirtualClock(START), outbox, Faults(0))
    outbox.submitted.clear()
    later.resume()
    outbox.send()
    assert outbox.called[0] == "tune.test:80"
    assert sorted(outbox.called[1:]) == [f"prompt{number}.test:80" for number in range(5)]
    states = {row["url"]: row["state"] for row in deliveries(store)}
    assert states.pop("http://tune.test") == ("delivered" if done else "unknown")
    assert {*states.values()} == {"delivered"}


def test_no_call_waits_for_what_is_sent_again_by_hand(
    callbacks: Callbacks, store: Store, outbox: PatientOutbox, tune: Row, prompt: Row
) -> None:
    delivery = callbacks.send(tune, "http://z.test", {})
    outbox.send()
    for _ in range(3):
        callbacks.send_again(delivery)
    callbacks.send(prompt, "http://prompt.test", {}, after=[("tune", tune.id)])
    outbox.send()
    assert outbox.called == ["z.test:80", "prompt.test:80", *["z.test:80"] * 3]
