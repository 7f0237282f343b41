"""Tunes: models made from a few pictures of one subject."""

from collections.abc import Mapping
from typing import Any

from astria_emulator.objects.access import own, visible
from astria_emulator.objects.fetching import load_files
from astria_emulator.objects.prompts import brief
from astria_emulator.objects.removal import remove_tune
from astria_emulator.objects.results import Creation, Empty
from astria_emulator.objects.tunes import make_tune, needs_files
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import title_ref
from astria_emulator.storage.store import Query, Row
from astria_emulator.work.training import release_waiting


def create_tune(services: Services, caller: Caller, *, body: Mapping[str, Any]) -> Creation:
    attributes = body["tune"]
    needed = needs_files(services, caller, attributes)
    return make_tune(services, caller, load_files(services, caller, attributes, needed=needed))


def list_tunes(services: Services, caller: Caller, *, query: Mapping[str, Any]) -> list[Row]:
    return _page(services, caller, caller.account, query)


def list_gallery_tunes(
    services: Services, caller: Caller, *, query: Mapping[str, Any]
) -> list[Row]:
    return _page(services, caller, None, query)


def get_tune(services: Services, caller: Caller, *, id: int) -> Row:
    return visible(services, caller, "tune", id)


def update_tune(services: Services, caller: Caller, *, id: int, body: Mapping[str, Any]) -> Row:
    row = own(services, caller, "tune", id)
    with services.store.transaction():
        title = body["tune"].get("title", row["title"])
        row = services.store.update(
            row,
            {**body["tune"], "updated_at": services.clock.now()},
            refs=(title_ref(title), *row.refs[1:]),
        )
        for prompt in services.store.find("prompt", Query(caller.account, ref=row.id)):
            tunes = [brief(row) if tune["id"] == row.id else tune for tune in prompt["tunes"]]
            home = brief(row) if prompt["tune"]["id"] == row.id else prompt["tune"]
            services.store.update(prompt, {"tune": home, "tunes": tunes})
    return row


def delete_tune(services: Services, caller: Caller, *, id: int) -> Empty:
    row = own(services, caller, "tune", id)
    with services.store.transaction():
        remove_tune(services, row)
        release_waiting(services, row, services.clock.now())
    return Empty(int(services.assumed("delete-status")))


def _page(
    services: Services, caller: Caller, owner: int | None, query: Mapping[str, Any]
) -> list[Row]:
    title, names = query.get("title", "").lower(), query.get("name")
    kinds = {key: query[key] for key in ("model_type", "branch") if key in query}

    def fits(row: Row) -> bool:
        return (
            (owner is None or caller.workspace in ("all", row.get("workspace_id")))
            and title in row["title"].lower()
            and (not names or row["name"] in names)
            and all(row[key] == value for key, value in kinds.items())
        )

    return services.store.find("tune", Query(owner, test=fits).page(query))
