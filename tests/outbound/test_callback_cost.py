"""A call costs the same however many wait."""

from collections import Counter
from typing import Any

import pytest

from astria_emulator.clock import VirtualClock
from astria_emulator.faults.rules import Faults
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.storage.store import CALLBACKS, Row, Store
from tests.costs import assert_alike, cost_of
from tests.outbound.callback_cases import START
from tests.outbound.fake_outbox import PatientOutbox

CALLS = 20
RECEIVERS = 7


def queued(store: Store, row: Row, count: int, **outbox: Any) -> tuple[Callbacks, PatientOutbox]:
    """Callbacks of which so many wait, all that can in one transaction."""
    box = PatientOutbox(**outbox)
    callbacks = Callbacks(store, VirtualClock(START), box, Faults(0))
    with store.transaction():
        for number in range(count):
            about: Any = {"object": row.table, "object_id": row.id, "body": {}, "at": START}
            callbacks._record({**about, "url": f"http://r{number % RECEIVERS}.test"}, ())
    return callbacks, box


def cost_of_calls(store: Store, count: int, **outbox: Any) -> Counter[str]:
    store.reset()
    row = store.insert("tune", 1, {})
    callbacks, box = queued(store, row, count, **outbox)
    box.stop = callbacks._senders.stop

    def call() -> None:
        for number in range(CALLS):
            callbacks.send(row, f"http://r{number % RECEIVERS}.test", {})
        box.most = CALLS
        box.send()

    cost = cost_of(store, call)
    assert len(box.called) == CALLS
    return cost


@pytest.mark.parametrize("calls_each", [4, None])
def test_calls_cost_the_same_whether_few_or_many_wait(calls_each: int | None, store: Store) -> None:
    cost_of_calls(store, CALLS, calls_each=calls_each)  # statements are compiled once
    few = cost_of_calls(store, CALLS, calls_each=calls_each)
    assert_alike(few, cost_of_calls(store, 10_000, calls_each=calls_each))


def test_looking_whether_calls_wait_costs_the_same(store: Store) -> None:
    def look(count: int) -> Counter[str]:
        store.reset()
        callbacks, _ = queued(store, store.insert("tune", 1, {}), count)

        def ask() -> None:
            callbacks.resume()
            assert not callbacks.wait(0)

        return cost_of(store, ask)

    look(RECEIVERS)
    assert_alike(look(RECEIVERS), look(2_000))


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # whose work can be counted
def test_call_that_waits_for_many_costs_no_more_for_each(store: Store) -> None:
    """It has a ref for each: one at a time is deleted, and the others stay as they are."""

    def cost_of_waiting_for(count: int) -> Counter[str]:
        store.reset()
        callbacks, box = queued(store, store.insert("tune", 1, {}), count)
        last = store.insert("prompt", 1, {})
        callbacks.send(last, "http://last.test", {}, after=[("tune", 5_000_001)])
        cost = cost_of(store, box.send)
        del cost["lines"]
        assert box.called[-1] == "last.test:80"
        assert not store.has_jobs(CALLBACKS)
        return cost

    cost_of_waiting_for(20)
    assert_alike(cost_of_waiting_for(20), cost_of_waiting_for(200), times=10)


def test_answer_lists_a_bounded_number(store: Store) -> None:
    callbacks, box = queued(store, store.insert("tune", 1, {}), 2_500)
    box.stop, box.most = callbacks._senders.stop, 60
    box.send()
    ids = [row.id for row in callbacks.newest()]
    assert ids == [*range(2_500, 1_500, -1), *range(60, 0, -1)]
    assert len(store.jobs(limit=1_000)) == 1_000
