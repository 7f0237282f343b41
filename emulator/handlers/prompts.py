"""Prompts: texts that become pictures or videos."""

from collections.abc import Mapping
from typing import Any

from emulator.access import own, unknown_places, visible
from emulator.errors import Invalid, NotFound
from emulator.inputs import kept_artefact
from emulator.prompt_creation import NOT_A_TUNE, make_prompt
from emulator.prompt_text import tokens
from emulator.removal import remove_prompt
from emulator.services import Caller, Services
from emulator.store import Query, Row
from emulator.values import Empty, Made

MESSAGE = {"message": "Prompt successfully deleted"}
EQUAL = ("tune_id", "pack_id", "base_pack_id", "orig_prompt_id", "order_id")
Given = Mapping[str, Any]


def create_tune_prompt(services: Services, caller: Caller, *, tune_id: int, body: Given) -> Made:
    return make_prompt(services, caller, visible(services, caller, "tune", tune_id), body["prompt"])


def create_prompt(services: Services, caller: Caller, *, body: Given) -> Made:
    try:
        tune = visible(services, caller, "tune", body["prompt"]["tune_id"])
    except NotFound:
        raise Invalid({"tune": ["must exist"]}) from None
    return make_prompt(services, caller, tune, body["prompt"])


def list_tune_prompts(
    services: Services, caller: Caller, *, tune_id: int, query: Given
) -> list[Row]:
    return _page(services, caller, query, visible(services, caller, "tune", tune_id).id)


def list_prompts(services: Services, caller: Caller, *, query: Given) -> list[Row]:
    return _page(services, caller, query, query.get("tune_id"))


def get_tune_prompt(
    services: Services, caller: Caller, *, tune_id: int, id: int, query: Given
) -> Row:
    return _under(services, caller, tune_id, id)


def get_prompt(services: Services, caller: Caller, *, id: int, query: Given) -> Row:
    return own(services, caller, "prompt", id)


def update_tune_prompt(
    services: Services, caller: Caller, *, tune_id: int, id: int, body: Given
) -> Row:
    return _update(services, caller, _under(services, caller, tune_id, id), body["prompt"])


def update_prompt(services: Services, caller: Caller, *, id: int, body: Given) -> Row:
    return _update(services, caller, own(services, caller, "prompt", id), body["prompt"])


def delete_tune_prompt(services: Services, caller: Caller, *, tune_id: int, id: int) -> Any:
    return _delete(services, _under(services, caller, tune_id, id))


def delete_prompt(services: Services, caller: Caller, *, id: int) -> Any:
    return _delete(services, own(services, caller, "prompt", id))


def duplicate_prompt(
    services: Services, caller: Caller, *, id: int, query: Given, body: Given
) -> Made:
    """Copy a prompt with changes; a copy knows its original."""
    original = own(services, caller, "prompt", id)
    known = services.prompt_attributes
    kept = {
        key: value
        for key, value in original.items()
        if key in known and key != "pack_id" and value is not None
    }
    attributes = {**kept, **(body.get("prompt") or {})}
    files: dict[str, Any] = dict(original["files"])
    index = body.get("image_index")
    if index is not None:
        if index >= len(original["image_keys"]):
            raise Invalid({"image_index": ["is not included in the list"]})
        files["input_image"] = original["image_keys"][index]
    home = services.store.get("tune", original["home_tune_id"])
    if home is None:
        raise NotFound
    for name, kept_files in files.items():
        if not any(attributes.get(key) for key in (name, f"{name}_url", f"{name}_base64")):
            keys = kept_files if isinstance(kept_files, list) else [kept_files]
            copies = [kept_artefact(services, key) for key in keys]
            attributes[name] = copies if isinstance(kept_files, list) else copies[0]
    return make_prompt(services, caller, home, attributes, orig_prompt_id=original.id)


def _under(services: Services, caller: Caller, tune_id: int, id: int) -> Row:
    """A prompt by its id, found under its base or any tune that it uses."""
    row = own(services, caller, "prompt", id)
    if tune_id not in row.refs:
        raise NotFound
    return row


def _update(services: Services, caller: Caller, row: Row, changes: Given) -> Row:
    messages = unknown_places(services, caller, changes)
    if changes.get("pack_id") and not any(
        token.tune_id in row.refs for token in tokens(row["text"])
    ):
        messages["base"] = [NOT_A_TUNE]
    if messages:
        raise Invalid(messages)
    refs = (
        [ref for ref in row.refs if not str(ref).startswith("pack:")]
        if "pack_id" in changes
        else list(row.refs)
    )
    if changes.get("pack_id"):
        refs.append(f"pack:{changes['pack_id']}")
    return services.store.update(
        row, {**changes, "updated_at": services.clock.now()}, refs=tuple(refs)
    )


def _delete(services: Services, row: Row) -> Any:
    remove_prompt(services, row)
    return Empty(204) if services.assumed("delete-status") == "204" else MESSAGE


def _page(services: Services, caller: Caller, query: Given, tune_id: int | None) -> list[Row]:
    equal = {key: query[key] for key in EQUAL if key in query and key != "tune_id"}
    text, today = query.get("text", "").lower(), services.clock.now().date()

    def fits(row: Row) -> bool:
        return (
            caller.workspace in ("all", row["workspace_id"])
            and text in row["text"].lower()
            and all(row.get(key) == value for key, value in equal.items())
            and (not query.get("liked") or row["prompt_likes_count"] > 0)
            and (not query.get("today") or row["created_at"].date() == today)
            and (not query.get("is_video") or bool(row.get("video_model")))
            and query.get("user_id") in (None, caller.account)
        )

    page = {key: query[key] for key in ("before_id", "offset", "limit") if key in query}
    return services.store.find("prompt", Query(caller.account, ref=tune_id, test=fits, **page))
