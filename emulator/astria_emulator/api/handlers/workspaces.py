"""Workspaces: places within an account."""

from collections.abc import Mapping
from typing import Any, cast

from astria_emulator.domain.rows import Titled, WorkspaceRow
from astria_emulator.errors import Invalid
from astria_emulator.objects.access import own
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import slug_of
from astria_emulator.storage.store import Query, Row

MOST_WORKSPACES = 1000  # of an account: a list has all of them


def list_workspaces(services: Services, caller: Caller) -> list[Row]:
    return services.store.find("workspace", Query(caller.account))


def create_workspace(services: Services, caller: Caller, *, body: Mapping[str, Any]) -> Row:
    attributes = body["workspace"]
    last = Query(caller.account, offset=MOST_WORKSPACES - 1, limit=1)
    if services.store.find("workspace", last):
        raise Invalid({"base": [f"there are {MOST_WORKSPACES} workspaces, and no more may be"]})
    now = services.clock.now()
    fields: WorkspaceRow = {
        "favicon_url": None,
        "landing_page_html": None,
        "brief": None,
        **cast(Titled, attributes),
        "slug": slug_of(attributes["title"], "workspace"),
        "created_at": now,
        "updated_at": now,
    }
    return services.store.insert("workspace", caller.account, fields)


def get_workspace(services: Services, caller: Caller, *, id: int) -> Row:
    return own(services, caller, "workspace", id)


def update_workspace(
    services: Services, caller: Caller, *, id: int, body: Mapping[str, Any]
) -> Row:
    row = own(services, caller, "workspace", id)
    return services.store.update(row, {**body["workspace"], "updated_at": services.clock.now()})
