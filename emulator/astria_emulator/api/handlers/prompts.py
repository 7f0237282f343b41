"""Prompts: texts that become pictures or videos."""

from collections.abc import Callable, Mapping
from typing import Any

from astria_emulator.domain.prompt_text import tokens
from astria_emulator.errors import Invalid, NotFound
from astria_emulator.objects.access import check_references, own, visible
from astria_emulator.objects.fetching import load_files
from astria_emulator.objects.media import copied_media, stored_artefact
from astria_emulator.objects.prompts import (
    NOT_A_TUNE,
    make_prompt,
    pack_refs,
    prompt_attributes,
    refuse_adapter,
)
from astria_emulator.objects.removal import remove_prompt
from astria_emulator.objects.results import Creation, Empty
from astria_emulator.services import Caller, Services
from astria_emulator.storage.store import Query, Row

DELETED = {"message": "Prompt successfully deleted"}
EQUAL = ("pack_id", "base_pack_id", "orig_prompt_id", "order_id")
FLAGS: Mapping[str, Callable[[Row], bool]] = {
    "liked": lambda row: row["prompt_likes_count"] > 0,
    "is_video": lambda row: bool(row.get("video_model")),
    "is_api": lambda row: bool(row["is_api"]),
}
Json = Mapping[str, Any]


def create_tune_prompt(services: Services, caller: Caller, *, tune_id: int, body: Json) -> Creation:
    tune = visible(services, caller, "tune", tune_id)
    refuse_adapter(services, tune)
    return make_prompt(services, caller, tune, load_files(services, caller, body["prompt"]))


def create_prompt(services: Services, caller: Caller, *, body: Json) -> Creation:
    try:
        tune = visible(services, caller, "tune", body["prompt"]["tune_id"])
    except NotFound:
        raise Invalid({"tune": ["must exist"]}) from None
    refuse_adapter(services, tune)
    return make_prompt(services, caller, tune, load_files(services, caller, body["prompt"]))


def list_tune_prompts(
    services: Services, caller: Caller, *, tune_id: int, query: Json
) -> list[Row]:
    visible(services, caller, "tune", tune_id)
    if query.get("tune_id") not in (None, tune_id):
        return []
    return _page(services, caller, query, tune_id)


def list_prompts(services: Services, caller: Caller, *, query: Json) -> list[Row]:
    return _page(services, caller, query, query.get("tune_id"))


def get_tune_prompt(
    services: Services, caller: Caller, *, tune_id: int, id: int, query: Json
) -> Row:
    return _under(services, caller, tune_id, id)


def get_prompt(services: Services, caller: Caller, *, id: int, query: Json) -> Row:
    return own(services, caller, "prompt", id)


def update_tune_prompt(
    services: Services, caller: Caller, *, tune_id: int, id: int, body: Json
) -> Row:
    return _update(services, caller, _under(services, caller, tune_id, id), body["prompt"])


def update_prompt(services: Services, caller: Caller, *, id: int, body: Json) -> Row:
    return _update(services, caller, own(services, caller, "prompt", id), body["prompt"])


def delete_tune_prompt(services: Services, caller: Caller, *, tune_id: int, id: int) -> Any:
    return _delete(services, _under(services, caller, tune_id, id))


def delete_prompt(services: Services, caller: Caller, *, id: int) -> Any:
    return _delete(services, own(services, caller, "prompt", id))


def duplicate_prompt(
    services: Services, caller: Caller, *, id: int, query: Json, body: Json
) -> Creation:
    """Copy a prompt with changes; the copy names its original."""
    original = own(services, caller, "prompt", id)
    changes = load_files(services, caller, body.get("prompt") or {})
    inherited = prompt_attributes(services, original, leave_out=["pack_id"])
    attributes = {**inherited, **copied_media(services, original, changes), **changes}
    index = body.get("image_index")
    if index is not None:
        if index >= len(original["image_keys"]):
            raise Invalid({"image_index": ["is not included in the list"]})
        attributes["input_image"] = stored_artefact(services, original["image_keys"][index])
    home = visible(services, caller, "tune", original["home_tune_id"])
    origin = {"orig_prompt_id": original.id}
    return make_prompt(services, caller, home, attributes, is_copy=True, **origin)


def _under(services: Services, caller: Caller, tune_id: int, id: int) -> Row:
    """Return a prompt by its id, under its base or any tune that it uses.

    Raises NotFound.
    """
    row = own(services, caller, "prompt", id)
    if tune_id not in row.refs:
        raise NotFound
    return row


def _update(services: Services, caller: Caller, row: Row, changes: Json) -> Row:
    messages = check_references(services, caller, changes)
    names_tune = any(token.tune_id in row.refs for token in tokens(row["text"]))
    if changes.get("pack_id") and not names_tune:
        messages["base"] = [NOT_A_TUNE]
    if messages:
        raise Invalid(messages)
    refs = list(row.refs)
    if "pack_id" in changes:
        refs = [ref for ref in refs if ref not in pack_refs(row["pack_id"])]
        refs += pack_refs(changes["pack_id"])
    changes = {**changes, "updated_at": services.clock.now()}
    return services.store.update(row, changes, refs=tuple(refs))


def _delete(services: Services, row: Row) -> Any:
    remove_prompt(services, row)
    return Empty(204) if services.assumed("delete-status") == "204" else DELETED


def _page(services: Services, caller: Caller, query: Json, tune_id: int | None) -> list[Row]:
    equal = {key: query[key] for key in EQUAL if key in query}
    flags = {key: query[key] for key in FLAGS if key in query}
    text, today = query.get("text", "").lower(), services.clock.now().date()
    if query.get("user_id") not in (None, caller.account):
        return []

    def fits(row: Row) -> bool:
        return (
            caller.workspace in ("all", row["workspace_id"])
            and all(row.get(key) == value for key, value in equal.items())
            and all(FLAGS[key](row) is value for key, value in flags.items())
            and (not query.get("today") or row["created_at"].date() == today)
            and text in row["text"].lower()
        )

    return services.store.find("prompt", Query(caller.account, ref=tune_id, test=fits).page(query))
