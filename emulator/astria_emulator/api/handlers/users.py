"""The account behind the key."""

from typing import Any

from astria_emulator.errors import NotFound
from astria_emulator.objects import presentation
from astria_emulator.services import Caller, Services


def get_user(services: Services, caller: Caller) -> dict[str, Any]:
    row = services.store.get("user", caller.account)
    if row is None:
        raise NotFound
    return presentation.user(row)
