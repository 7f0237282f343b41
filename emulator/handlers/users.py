"""The account behind the key."""

from typing import Any

from emulator import wire
from emulator.errors import NotFound
from emulator.services import Caller, Services


def get_user(services: Services, caller: Caller) -> dict[str, Any]:
    row = services.store.get("user", caller.account)
    if row is None:
        raise NotFound
    return wire.user(row)
