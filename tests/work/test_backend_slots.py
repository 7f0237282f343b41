"""Threads for real work: as many as there are slots, prompts first, and interrupted to stop."""

import threading
from collections.abc import Callable, Iterator

import pytest

from astria_emulator.clock import SystemClock
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Job, Row
from astria_emulator.work.backend_slots import Slots
from tests import PATIENCE_SECONDS


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def row(store: MemoryStore) -> Row:
    return store.insert("tune", 1, {})


@pytest.fixture
def start(store: MemoryStore) -> Iterator[Callable[..., Slots]]:
    made: list[Slots] = []

    def start(run: Callable[[Job], None], **changes: object) -> Slots:
        given: dict[str, object] = {
            "count": 1, "skip": (), "interrupt": lambda: None, "idle": 60.0, **changes
        }  # fmt: skip
        made.append(Slots(store, SystemClock(), run, **given))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield start
    for slots in made:
        slots.stop()


def add(store: MemoryStore, row: Row, *kinds: str) -> None:
    for kind in kinds:
        store.add_job(kind, row, SystemClock().now())


class Done:
    """Runs jobs by noting them; a test waits for a number of them."""

    def __init__(self, store: MemoryStore):
        self._store, self._changed = store, threading.Condition()
        self.kinds: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, job: Job) -> None:
        with self._changed:
            self.kinds.append(job.kind)
            self._changed.notify_all()
        assert self.gate.wait(PATIENCE_SECONDS)
        self._store.end_job(job)

    def wait_for(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.kinds) >= count, PATIENCE_SECONDS), (
                self.kinds
            )
            return [*self.kinds]


def test_prompts_come_before_training(
    store: MemoryStore, row: Row, start: Callable[..., Slots]
) -> None:
    done = Done(store)
    add(store, row, "train_on_slot", "train_on_slot", "generate_on_slot", "train_tune")
    start(done)
    assert done.wait_for(3) == ["generate_on_slot", "train_on_slot", "train_on_slot"]


def test_as_much_is_done_at_a_time_as_there_are_slots(
    store: MemoryStore, row: Row, start: Callable[..., Slots]
) -> None:
    done = Done(store)
    done.gate.clear()
    add(store, row, *["train_on_slot"] * 3)
    start(done, count=2)
    assert len(done.wait_for(2)) == 2
    assert [job.state for job in store.jobs()].count("running") == 2
    done.gate.set()
    assert len(done.wait_for(3)) == 3


def test_slot_that_waits_is_woken(
    store: MemoryStore, row: Row, start: Callable[..., Slots]
) -> None:
    done = Done(store)
    slots = start(done)
    add(store, row, "train_on_slot")
    slots.wake()
    assert done.wait_for(1) == ["train_on_slot"]


def test_error_ends_no_slot(store: MemoryStore, row: Row, start: Callable[..., Slots]) -> None:
    done = Done(store)

    def fails_once(job: Job) -> None:
        done(job)
        if len(done.kinds) == 1:
            raise ZeroDivisionError

    add(store, row, "train_on_slot", "train_on_slot")
    slots = start(fails_once)
    done.wait_for(1)
    slots.wake()
    assert len(done.wait_for(2)) == 2


def test_stop_ends_the_work_under_way_and_takes_no_more(
    store: MemoryStore, row: Row, start: Callable[..., Slots]
) -> None:
    done = Done(store)
    done.gate.clear()
    add(store, row, "train_on_slot", "train_on_slot")
    slots = start(done, interrupt=done.gate.set)
    done.wait_for(1)
    slots.stop()
    assert len(done.kinds) == 1
