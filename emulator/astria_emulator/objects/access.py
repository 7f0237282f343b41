"""What a caller may see and use: their own objects and the gallery's."""

from collections.abc import Mapping
from typing import Any

from astria_emulator.errors import NotFound
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import template_ref
from astria_emulator.storage.store import Query, Row

MOST_TEMPLATES = 1000  # of a pack


def own(services: Services, caller: Caller, table: str, id: int) -> Row:
    """Return the caller's own object.

    Raises NotFound.
    """
    row = services.store.get(table, id)
    if row is None or row.owner != caller.account:
        raise NotFound
    return row


def visible(services: Services, caller: Caller, table: str, id: int) -> Row:
    """Return an object of the caller or of the gallery.

    Raises NotFound.
    """
    row = services.store.get(table, id)
    if row is None or row.owner not in (None, caller.account):
        raise NotFound
    return row


def check_references(
    services: Services, caller: Caller, attributes: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return messages by field for the objects that a prompt names and the caller cannot use."""
    messages = {}
    for field, (table, look_up) in REFERENCES.items():
        if attributes.get(field):
            try:
                look_up(services, caller, table, attributes[field])
            except NotFound:
                messages[field] = ["must exist"]
    if (pack_id := attributes.get("pack_id")) and "pack_id" not in messages:
        last = Query(caller.account, ref=template_ref(pack_id), offset=MOST_TEMPLATES - 1, limit=1)
        if services.store.find("prompt", last):
            messages["pack_id"] = [f"has {MOST_TEMPLATES} templates, and takes no more"]
    return messages


# A prompt may come from a gallery pack; templates go into the caller's own packs only.
REFERENCES = {
    "workspace_id": ("workspace", own),
    "pack_id": ("pack", own),
    "base_pack_id": ("pack", visible),
    "orig_prompt_id": ("prompt", visible),
}
