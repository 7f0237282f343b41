"""Receivers take turns, and none keeps the others waiting."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from astria_emulator.clock import VirtualClock
from astria_emulator.faults.rules import Faults
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.outbound.door import receiver_of
from astria_emulator.outbound.outbox import Outbox, ThreadOutbox
from astria_emulator.storage.store import Row, Store
from tests import PATIENCE_SECONDS
from tests.databases import postgres_database, postgres_store
from tests.outbound.callback_cases import START, deliveries
from tests.outbound.fake_outbox import GatedOutbox, PatientOutbox


def callbacks_by(outbox: Outbox, store: Store) -> Callbacks:
    return Callbacks(store, VirtualClock(START), outbox, Faults(0))


def call(callbacks: Callbacks, row: Row, *hosts: str) -> None:
    for host in hosts:
        callbacks.send(row, f"http://{host}.test", {})


@pytest.fixture
def gated(store: Store) -> Iterator[tuple[GatedOutbox, Callbacks]]:
    """Callbacks by eight senders, of which two may call one receiver."""
    outbox = GatedOutbox(senders=8, calls_each=2)
    callbacks = callbacks_by(outbox, store)
    yield outbox, callbacks
    outbox.opened.set()
    callbacks.close()


Gated = tuple[GatedOutbox, Callbacks]


# -- turns -----------------------------------------------------------------------------------------
def test_receivers_take_turns(store: Store, tune: Row) -> None:
    outbox = PatientOutbox(senders=1, calls_each=1)
    callbacks = callbacks_by(outbox, store)
    call(callbacks, tune, *["b"] * 4, *["a"] * 3, "c")
    outbox.send()
    assert outbox.called == [f"{host}.test:80" for host in "abcababb"]


def test_calls_are_sent_in_their_order_where_receivers_take_no_turns(
    store: Store, tune: Row
) -> None:
    outbox = PatientOutbox(calls_each=None)
    call(callbacks_by(outbox, store), tune, *"bacab")
    outbox.send()
    assert outbox.called == [f"{host}.test:80" for host in "bacab"]


def test_receiver_that_does_not_answer_keeps_nobody_waiting(gated: Gated, tune: Row) -> None:
    outbox, callbacks = gated
    call(callbacks, tune, *["silent"] * 50)
    outbox.wait_for(lambda: outbox.waiting == 2)
    for number in range(1, 6):
        call(callbacks, tune, "quick")
        outbox.wait_for(lambda: outbox.begun.count("quick.test:80") == number)  # noqa: B023
    assert outbox.begun.count("silent.test:80") == 2
    outbox.opened.set()
    assert callbacks.wait(PATIENCE_SECONDS)
    assert outbox.begun.count("silent.test:80") == 50


def test_many_receivers_that_do_not_answer_keep_nobody_waiting(gated: Gated, tune: Row) -> None:
    """The last senders are for receivers that get no call yet."""
    outbox, callbacks = gated
    hosts = [f"silent{number}" for number in range(6)]
    call(callbacks, tune, *hosts * 10)
    outbox.wait_for(lambda: {f"{host}.test:80" for host in hosts} <= {*outbox.begun})
    call(callbacks, tune, "quick")
    outbox.wait_for(lambda: "quick.test:80" in outbox.begun)
    assert outbox.waiting == len(outbox.begun) - 1


def test_each_port_of_a_host_has_its_turns(gated: Gated, tune: Row) -> None:
    outbox, callbacks = gated
    for _ in range(20):
        callbacks.send(tune, "http://silent.test:8000", {})
    outbox.wait_for(lambda: outbox.waiting == 2)
    callbacks.send(tune, "http://silent.test:8001", {})
    outbox.wait_for(lambda: "silent.test:8001" in outbox.begun)


def test_every_call_is_made_once_when_senders_are_few(store: Store, tune: Row) -> None:
    outbox = GatedOutbox(senders=3, calls_each=2)
    callbacks = callbacks_by(outbox, store)
    call(callbacks, tune, *"abcde" * 30)
    assert callbacks.wait(PATIENCE_SECONDS)
    callbacks.close()
    assert sorted(outbox.begun) == sorted([f"{host}.test:80" for host in "abcde"] * 30)


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("http://A.Test/x?y", "a.test:80"),
        ("http://user:secret@a.test./", "a.test:80"),
        ("https://a.test", "a.test:443"),
        ("http://a.test:8080", "a.test:8080"),
        ("http://[::1]:8080", "::1:8080"),
        ("http://[::1", ""),
        ("ftp://a.test", ""),
        (f"http://{'a' * 254}", ""),
    ],
)
def test_receiver_is_host_and_port(url: str, receiver: str) -> None:
    assert receiver_of(url) == receiver


def test_addresses_that_cannot_be_read_or_are_long_are_refused(store: Store, tune: Row) -> None:
    callbacks = callbacks_by(ThreadOutbox(()), store)
    for url in ("http://[::1", f"http://{'a' * 100_000}:80"):
        callbacks.send(tune, url, {})
    assert callbacks.wait(PATIENCE_SECONDS)
    callbacks.close()
    assert [row["state"] for row in deliveries(store)] == ["failed", "failed"]


# -- what nobody was woken for ---------------------------------------------------------------------
def test_server_that_has_nothing_to_send_begins_nothing(store: Store, tune: Row) -> None:
    outbox = PatientOutbox()
    callbacks = callbacks_by(outbox, store)
    callbacks.resume()
    assert outbox.submitted == []


def test_calls_that_may_not_be_made_now_begin_nothing(gated: Gated, tune: Row) -> None:
    outbox, callbacks = gated
    call(callbacks, tune, *["silent"] * 2)
    outbox.wait_for(lambda: outbox.waiting == 2)
    submits = outbox.submits
    call(callbacks, tune, *["silent"] * 20)
    for _ in range(5):
        callbacks.resume()
    assert outbox.submits == submits


@pytest.mark.parametrize("calls_each", [1, 4, None])
def test_what_was_left_is_sent(calls_each: int | None, store: Store, tune: Row) -> None:
    before = callbacks_by(PatientOutbox(), store)
    call(before, tune, *"abc")
    outbox = PatientOutbox(calls_each=calls_each)
    callbacks_by(outbox, store).resume()
    assert len(outbox.submitted) == 1
    outbox.send()
    assert sorted(outbox.called) == [f"{host}.test:80" for host in "abc"]


def test_what_was_left_is_sent_at_the_same_time(gated: Gated, store: Store, tune: Row) -> None:
    outbox, callbacks = gated
    call(callbacks_by(PatientOutbox(), store), tune, *["silent1", "silent2", "silent3"] * 5)
    callbacks.resume()
    outbox.wait_for(lambda: outbox.waiting == 6)
    assert {*outbox.begun} == {f"silent{number}.test:80" for number in (1, 2, 3)}


def test_no_more_senders_begin_than_there_may_be(store: Store, tune: Row) -> None:
    outbox = PatientOutbox(senders=5)
    call(callbacks_by(outbox, store), tune, *"abcdefgh" * 5)
    assert len(outbox.submitted) == 5
    outbox.send()
    assert len(outbox.called) == 40


def test_sender_begins_no_call_once_it_is_stopped(store: Store, tune: Row) -> None:
    outbox = PatientOutbox()
    callbacks = callbacks_by(outbox, store)
    outbox.stop, outbox.most = callbacks._senders.stop, 2
    call(callbacks, tune, *"abc")
    outbox.send()
    assert len(outbox.called) == 2


def test_sender_that_was_to_end_looks_again_for_a_call_that_came_meanwhile(
    store: Store, tune: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All senders are counted as busy then, so that no other one begins."""
    outbox = PatientOutbox(senders=1)
    callbacks = callbacks_by(outbox, store)
    claim, late = store.claim_in_turn, [partial(call, callbacks, tune, "b")]

    def claim_before_it_comes(*args: Any) -> Any:
        job = claim(*args)
        if job is None and late:
            late.pop()()
        return job

    monkeypatch.setattr(store, "claim_in_turn", claim_before_it_comes)
    call(callbacks, tune, "a")
    outbox.send()
    assert outbox.called == ["a.test:80", "b.test:80"]


def test_each_call_is_made_by_one_of_two_servers() -> None:
    hosts = [f"h{number}" for number in range(60)]
    with postgres_database() as url, postgres_store(url) as one, postgres_store(url) as other:
        outboxes = [GatedOutbox(senders=8, calls_each=2) for _ in range(2)]
        here, there = map(callbacks_by, outboxes, (one, other))
        tune = one.insert("tune", 1, {})
        for host in hosts:
            call(here, tune, host)
            there.resume()
        assert here.wait(PATIENCE_SECONDS)
        for callbacks in (here, there):
            callbacks.close()
        begun = [receiver for outbox in outboxes for receiver in outbox.begun]
        assert sorted(begun) == sorted(f"{host}.test:80" for host in hosts)
        assert {row["state"] for row in deliveries(one)} == {"delivered"}


# -- errors ----------------------------------------------------------------------------------------
def test_sender_goes_on_after_a_store_that_did_not_answer(
    store: Store, tune: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = PatientOutbox(senders=1)
    callbacks = callbacks_by(outbox, store)
    call(callbacks, tune, "a")
    with monkeypatch.context() as patch:
        patch.setattr(store, "claim_in_turn", lambda *_: {}["away"])
        outbox.send()
    callbacks.resume()
    outbox.send()
    assert outbox.called == ["a.test:80"]


def test_call_that_cannot_be_ended_is_not_tried_for_ever(
    store: Store, tune: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = PatientOutbox(senders=1)
    callbacks = callbacks_by(outbox, store)
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "_end", lambda *_: {}["away"])
        call(callbacks, tune, "a")
        outbox.send()
    call(callbacks, tune, "b")
    outbox.send()
    assert outbox.called == ["a.test:80", "b.test:80"]
