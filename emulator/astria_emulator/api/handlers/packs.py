"""Packs: collections of prompt templates.

A template is a prompt with the pack's `pack_id`.
"""

from collections.abc import Mapping
from typing import Any, cast

from astria_emulator.domain.rows import NewPackRow, Titled
from astria_emulator.errors import Invalid, NotFound
from astria_emulator.objects import presentation
from astria_emulator.objects.access import visible
from astria_emulator.objects.fetching import load_files
from astria_emulator.objects.packs import PackRun, templates_of
from astria_emulator.objects.tunes import needs_files
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import slug_of, slug_ref
from astria_emulator.storage.store import Query, Row

Json = Mapping[str, Any]


def list_packs(services: Services, caller: Caller, *, query: Json) -> list[dict[str, Any]]:
    return _page(services, caller, caller.account, query)


def list_gallery_packs(services: Services, caller: Caller, *, query: Json) -> list[dict[str, Any]]:
    return _page(services, caller, None, query)


def create_pack(services: Services, caller: Caller, *, body: Json) -> dict[str, Any]:
    attributes = body["pack"]
    if attributes.get("base_tune_id"):
        try:
            visible(services, caller, "tune", attributes["base_tune_id"])
        except NotFound:
            raise Invalid({"base_tune_id": ["must exist"]}) from None
    with services.store.transaction():
        now = services.clock.now()
        fields: NewPackRow = {
            "subtitle": None,
            "model_type": None,
            "base_tune_id": None,
            **cast(Titled, attributes),
            "token": "ohwx",
            "multiplier": 10,
            "multiplier_api": 10,
            "public_at": None,
            "use_multi": False,
            "classes": [],
            "created_at": now,
            "updated_at": now,
            "origin": caller.origin,
            "workspace_id": caller.own_workspace,
        }
        row = services.store.insert("pack", caller.account, fields)
        slug = slug_of(attributes["title"], "pack")
        is_taken = slug.isdecimal() or _by_slug(services, caller, slug) is not None
        slug = f"{slug}-{row.id}" if is_taken else slug
        row = services.store.update(row, {"slug": slug}, refs=(slug_ref(slug),))
    return presentation.pack(services, row, [], caller.origin)


def get_pack(services: Services, caller: Caller, *, id_or_slug: str, query: Json) -> dict[str, Any]:
    row = _find(services, caller, id_or_slug)
    shown = presentation.pack(services, row, templates_of(services, row), caller.origin)
    for field in ("debug_images", "comments"):
        if f"prompt.{field}" in query.get("expand", ()):
            shown["template_prompts"] = [
                {**template, field: []} for template in shown["template_prompts"]
            ]
    return shown


def run_pack(services: Services, caller: Caller, *, id_or_slug: str, body: Json) -> Any:
    """Train a tune and create the pack's prompts with it, or create them with existing tunes."""
    pack = _find(services, caller, id_or_slug)
    kind = {name: pack.get(name) for name in ("base_tune_id", "model_type")}
    tune = {**body["tune"], **kind}
    needed = needs_files(services, caller, tune)
    attributes = load_files(services, caller, body["tune"], needed=needed)
    with services.store.transaction():
        run = PackRun(services=services, caller=caller, pack=pack, attributes=attributes)
        return run.begin()


def _find(services: Services, caller: Caller, id_or_slug: str) -> Row:
    """Return a pack of the caller or of the gallery, by its id or slug.

    Raises NotFound.
    """
    if id_or_slug.isdecimal() and len(id_or_slug) < 19:
        return visible(services, caller, "pack", int(id_or_slug))
    row = _by_slug(services, caller, id_or_slug)
    if row is None:
        raise NotFound
    return row


def _by_slug(services: Services, caller: Caller, slug: str) -> Row | None:
    for owner in (caller.account, None):
        if rows := services.store.find("pack", Query(owner, ref=slug_ref(slug), limit=1)):
            return rows[0]
    return None


def _page(
    services: Services, caller: Caller, owner: int | None, query: Json
) -> list[dict[str, Any]]:
    def fits(row: Row) -> bool:
        return (
            (owner is None or caller.workspace in ("all", row["workspace_id"]))
            and (not query.get("public") or row["public_at"] is not None)
            and (not query.get("listed") or row.get("unlisted_at") is None)
        )

    rows = services.store.find("pack", Query(owner, test=fits).page(query))
    return [
        presentation.pack(services, row, templates_of(services, row), caller.origin) for row in rows
    ]
