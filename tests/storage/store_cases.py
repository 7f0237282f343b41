"""What the tests of stores share."""

from collections.abc import Callable
from datetime import UTC, datetime

from astria_emulator.storage.store import CALLBACKS, EXPIRY, WORK, Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LANES = (WORK, EXPIRY, CALLBACKS)


def failing(store: Store, act: Callable[[], object]) -> None:
    """Do something in a transaction that then fails."""
    with store.transaction():
        act()
        raise KeyError
