"""Fixtures of the tests in this folder."""

import pytest

from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.store import Row
from tests.work.recorded_work import Work


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def work(store: MemoryStore) -> Work:
    return Work(store)


@pytest.fixture
def row(store: MemoryStore) -> Row:
    return store.insert("tune", 1, {})
