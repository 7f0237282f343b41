"""What a caller may see and use: own objects, and the gallery's."""

from collections.abc import Mapping
from typing import Any

from astria_emulator.errors import NotFound
from astria_emulator.services import Caller, Services
from astria_emulator.storage.store import Row


def own(services: Services, caller: Caller, table: str, id: int) -> Row:
    """The caller's own object.

    Raises NotFound.
    """
    row = services.store.get(table, id)
    if row is None or row.owner != caller.account:
        raise NotFound
    return row


def visible(services: Services, caller: Caller, table: str, id: int) -> Row:
    """An own object or one of the gallery.

    Raises NotFound.
    """
    row = services.store.get(table, id)
    if row is None or row.owner not in (None, caller.account):
        raise NotFound
    return row


def unknown_places(
    services: Services, caller: Caller, given: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Messages for what a prompt names and the caller cannot use."""
    found = {}
    for field, (table, look_up) in PLACES.items():
        if given.get(field):
            try:
                look_up(services, caller, table, given[field])
            except NotFound:
                found[field] = ["must exist"]
    return found


# A gallery pack may be named as where a prompt comes from; templates go into own packs only.
PLACES = {
    "workspace_id": ("workspace", own),
    "pack_id": ("pack", own),
    "base_pack_id": ("pack", visible),
    "orig_prompt_id": ("prompt", visible),
}
