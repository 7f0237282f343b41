"""Packs: collections of prompt templates.

A template is a finished prompt with the pack's `pack_id`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emulator import wire
from emulator.access import unknown_places, visible
from emulator.errors import Invalid, NotFound
from emulator.jobs import end_run
from emulator.prompt_creation import make_prompt
from emulator.prompt_text import fill, token_for, without_tokens
from emulator.services import Caller, Services
from emulator.store import Query, Row
from emulator.tune_creation import make_tune

Given = Mapping[str, Any]


def list_packs(services: Services, caller: Caller, *, query: Given) -> list[dict[str, Any]]:
    return _page(services, caller, caller.account, query)


def list_gallery_packs(services: Services, caller: Caller, *, query: Given) -> list[dict[str, Any]]:
    return _page(services, caller, None, query)


def create_pack(services: Services, caller: Caller, *, body: Given) -> dict[str, Any]:
    given = body["pack"]
    base_id = given.get("base_tune_id")
    if base_id:
        try:
            visible(services, caller, "tune", base_id)
        except NotFound:
            raise Invalid({"base_tune_id": ["must exist"]}) from None
    with services.store.transaction():
        now = services.clock.now()
        fixed = {
            "subtitle": None,
            "model_type": None,
            "base_tune_id": None,
            **given,
            "token": "ohwx",
            "multiplier": 10,
            "multiplier_api": 10,
            "public_at": None,
            "use_multi": False,
            "classes": [],
            "created_at": now,
            "updated_at": now,
            "origin": caller.origin,
            "workspace_id": caller.workspace if isinstance(caller.workspace, int) else None,
        }
        row = services.store.insert("pack", caller.account, fixed)
        slug = re.sub(r"[^a-z0-9]+", "-", given["title"].lower()).strip("-") or "pack"
        taken = _by_slug(services, caller, slug) is not None or slug.isdecimal()
        row = services.store.update(row, {"slug": f"{slug}-{row.id}" if taken else slug})
    return wire.pack(services, row, [], caller.origin)


def get_pack(
    services: Services, caller: Caller, *, id_or_slug: str, query: Given
) -> dict[str, Any]:
    row = _find(services, caller, id_or_slug)
    shown = wire.pack(services, row, _templates(services, caller, row), caller.origin)
    for field in ("debug_images", "comments"):
        if f"prompt.{field}" in query.get("expand", ()):
            shown["template_prompts"] = [
                {**template, field: []} for template in shown["template_prompts"]
            ]
    return shown


def run_pack(services: Services, caller: Caller, *, id_or_slug: str, body: Given) -> Any:
    """Train a tune and make the pack's prompts with it, or make them with tunes that exist."""
    pack = _find(services, caller, id_or_slug)
    given = body["tune"]
    overrides = given.get("prompt_attributes") or {}
    if messages := unknown_places(services, caller, overrides):
        raise Invalid({f"prompt_attributes.{field}": texts for field, texts in messages.items()})
    templates = _chosen(services, caller, pack, given)
    if given.get("tune_ids"):
        tunes = [_tune(services, caller, id) for id in given["tune_ids"]]
        with services.store.transaction():
            return (
                _run_multi(services, caller, pack, tunes, templates, given)
                if pack["use_multi"]
                else _run_tunes(services, caller, pack, tunes, templates, given)
            )
    if pack["use_multi"]:
        raise Invalid({"tune_ids": ["can't be blank"]})
    return _train(services, caller, pack, templates, given)


def _train(
    services: Services, caller: Caller, pack: Row, templates: Sequence[Row], given: Given
) -> Row:
    messages = {field: ["can't be blank"] for field in ("title", "name") if not given.get(field)}
    classes = {template["class_name"] for template in templates}
    if "name" not in messages and classes and given["name"] not in classes:
        messages["name"] = ["is not included in the list"]
    if not (given.get("images") or given.get("image_urls")):
        messages["images"] = ["must contain at least one image"]
    if messages:
        raise Invalid(messages)
    taken = ("title", "name", "callback", "preset", "characteristics", "images", "image_urls")
    attributes = {key: given[key] for key in taken if key in given}
    kind = {
        "base_tune_id": pack["base_tune_id"],
        "model_type": pack["model_type"],
        "token": pack["token"],
    }
    with services.store.transaction():
        made = make_tune(services, caller, {**attributes, **kind})
        if not made.repeated:
            _run_tunes(services, caller, pack, [made.row], templates, given)
    return services.store.get("tune", made.row.id) or made.row


def _run_tunes(
    services: Services,
    caller: Caller,
    pack: Row,
    tunes: Sequence[Row],
    templates: Sequence[Row],
    given: Given,
) -> dict[str, Any]:
    """Every template of its class for every tune."""
    run = _begin(services, caller, given)
    made = []
    for tune in tunes:
        for template in [
            row for row in templates if row["class_name"] == tune["name"]
        ] or templates:
            text = _text(pack, template, tune, given)
            made.append(
                make_prompt(
                    services,
                    caller,
                    tune,
                    _attributes(services, template, given, text),
                    **_marks(pack, template, run),
                )
            )
    _note(services, run, [prompt.row for prompt in made])
    return {"status": 201, "message": "Prompts created"}


def _run_multi(
    services: Services,
    caller: Caller,
    pack: Row,
    tunes: Sequence[Row],
    templates: Sequence[Row],
    given: Given,
) -> dict[str, Any]:
    """Every template once, with all tunes in it; one order holds the prompts together."""
    run = _begin(services, caller, given)
    order = services.store.insert(
        "order", caller.account, {"tune_ids": [tune.id for tune in tunes]}
    )
    named = " ".join(
        f"{token_for(tune['model_type'] or 'lora', tune.id)} {tune['name']}" for tune in tunes
    )
    base = services.store.get("tune", pack["base_tune_id"]) or tunes[0]
    made = []
    for template in templates:
        text = f"{named} {_text(pack, template, tunes[0], given)}"
        marks = {**_marks(pack, template, run), "order_id": order.id}
        made.append(
            make_prompt(
                services, caller, base, _attributes(services, template, given, text), **marks
            ).row
        )
    _note(services, run, made)
    shown = {"id": order.id, "tune_ids": order["tune_ids"], "total_cost_mc": 0}
    return {
        "status": 201,
        "message": "Prompts created",
        "order": shown,
        "prompt_ids": [row.id for row in made],
    }


def _text(pack: Row, template: Row, tune: Row, given: Given) -> str:
    """A template's words for a tune.

    Its token stands in place of the pack's, characteristics are filled in, the brief comes last.
    """
    text = without_tokens(template["text"])
    if tune.get("token") and tune["token"] != pack["token"]:
        text = text.replace(pack["token"], tune["token"])
    text = fill(text, given.get("characteristics") or tune.get("characteristics"))
    return f"{text}, {given['brief']}" if given.get("brief") else text


def _attributes(services: Services, template: Row, given: Given, text: str) -> dict[str, Any]:
    known = services.prompt_attributes - {
        "pack_id",
        "base_pack_id",
        "callback",
        "seed",
        "workspace_id",
    }
    kept = {key: value for key, value in template.items() if key in known and value is not None}
    return {**kept, **(given.get("prompt_attributes") or {}), "text": text}


def _marks(pack: Row, template: Row, run: Row) -> dict[str, Any]:
    return {"base_pack_id": pack.id, "orig_prompt_id": template.id, "run_id": run.id}


def _begin(services: Services, caller: Caller, given: Given) -> Row:
    fixed: dict[str, Any] = {
        "prompts_callback": given.get("prompts_callback"),
        "prompt_ids": [],
        "told": False,
    }
    return services.store.insert("run", caller.account, fixed)


def _note(services: Services, run: Row, prompts: Iterable[Row]) -> None:
    ids = [row.id for row in prompts]
    run = services.store.update(run, {"prompt_ids": ids})
    if run["prompts_callback"] and not ids:
        end_run(services, run)


def _tune(services: Services, caller: Caller, tune_id: int) -> Row:
    try:
        return visible(services, caller, "tune", tune_id)
    except NotFound:
        raise Invalid({"tune_ids": ["must exist"]}) from None


def _chosen(services: Services, caller: Caller, pack: Row, given: Given) -> list[Row]:
    """The pack's templates, oldest first, or those that `prompt_ids` names."""
    templates = _templates(services, caller, pack)[::-1]
    wanted = given.get("prompt_ids")
    if wanted and set(wanted) - {row.id for row in templates}:
        raise Invalid({"prompt_ids": ["must exist"]})
    return [row for row in templates if not wanted or row.id in wanted]


def _templates(services: Services, caller: Caller, pack: Row) -> list[Row]:
    """Newest first."""
    owner = pack.owner if pack.owner is None else caller.account
    return services.store.find("prompt", Query(owner, ref=f"pack:{pack.id}"))


def _find(services: Services, caller: Caller, id_or_slug: str) -> Row:
    """An own or public pack by its id or slug.

    Raises NotFound.
    """
    if id_or_slug.isdecimal() and len(id_or_slug) < 19:
        row = services.store.get("pack", int(id_or_slug))
    else:
        row = _by_slug(services, caller, id_or_slug)
    if row is None or row.owner not in (None, caller.account):
        raise NotFound
    return row


def _by_slug(services: Services, caller: Caller, slug: str) -> Row | None:
    for owner in (caller.account, None):
        if found := services.store.find(
            "pack", Query(owner, test=lambda row: row.get("slug") == slug, limit=1)
        ):
            return found[0]
    return None


def _page(
    services: Services, caller: Caller, owner: int | None, query: Given
) -> list[dict[str, Any]]:
    def fits(row: Row) -> bool:
        return (
            (owner is None or caller.workspace in ("all", row["workspace_id"]))
            and (not query.get("public") or row["public_at"] is not None)
            and (not query.get("listed") or row.get("unlisted_at") is None)
        )

    page = {key: query[key] for key in ("before_id", "offset", "limit") if key in query}
    rows = services.store.find("pack", Query(owner, test=fits, **page))
    return [
        wire.pack(services, row, _templates(services, caller, row), caller.origin) for row in rows
    ]
