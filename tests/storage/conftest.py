"""Fixtures of the tests in this folder."""

import pytest

from astria_emulator.storage.store import Row, Store


@pytest.fixture
def row(store: Store) -> Row:
    return store.insert("tune", 1, {})
