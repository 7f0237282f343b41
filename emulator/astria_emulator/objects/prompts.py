"""Create prompts: what is checked, filled in and stored, for every operation that does so."""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

from astria_emulator.domain.lifecycle import UNTIMED
from astria_emulator.domain.prompt_rules import broken_rules
from astria_emulator.domain.prompt_text import (
    check_length,
    fill,
    named_ids,
    token_for,
    tokens,
    video_fields,
)
from astria_emulator.domain.rows import Brief, NewPromptRow, PromptAttributes, PromptNulls
from astria_emulator.errors import Invalid, Message, NotFound
from astria_emulator.objects.access import check_references
from astria_emulator.objects.lineage import root_base
from astria_emulator.objects.media import keep_media, split_media
from astria_emulator.objects.results import Creation
from astria_emulator.services import FAST, Caller, Services
from astria_emulator.storage.refs import template_ref
from astria_emulator.storage.store import Query, Row

log = logging.getLogger(__name__)

Attributes = Mapping[str, Any]
# Attributes that make two prompts the same (docs/api/0-overview.md#idempotency, 2026-08-21).
FINGERPRINT = (
    "text", "tune_id", "cfg_scale", "steps", "seed", "callback", "negative_prompt",
    "super_resolution", "face_correct", "ar", "num_images", "controlnet", "denoising_strength",
    "use_lpw", "controlnet_conditioning_scale", "w", "h", "hires_fix", "scheduler",
    "controlnet_txt2img", "inpaint_faces",
)  # fmt: skip
# Fields that the wire shows as null unless the request sets them.
NULLS: PromptNulls = {
    "callback": None, "base_pack_id": None, "pack_id": None, "order_id": None,
    "orig_prompt_id": None, "user_error": None, "cfg_scale": None, "steps": None, "seed": None,
    "style": None, "w": None, "h": None, "controlnet_conditioning_scale": None,
    "denoising_strength": None, "aspect_ratio": None, "resolution": None,
}  # fmt: skip
NOT_A_TUNE = "Prompt is not using a fine-tuned model"


def make_prompt(
    services: Services,
    caller: Caller,
    home: Row,
    body: Attributes,
    *,
    is_copy: bool = False,
    **extra: Any,
) -> Creation:
    """Create a prompt under the tune `home`; `extra` are attributes that the server adds.

    A prompt under a LoRA or FaceID tune moves to its base, and its text names the tune. A copy is a
    new prompt even where idempotency makes equal prompts one.
    Raises NotFound where the tune is gone, and Invalid with all that is wrong; nothing is stored
    then.
    """
    with services.store.transaction():
        current_home = services.store.current(home)
        if current_home is None:
            raise NotFound
        home = current_home
        attributes = with_video_fields(services, body)
        text, base = _rehome(services, home, attributes)
        check_length(len(text))
        named = named_tunes(services, caller, f"{text} {attributes.get('video_prompt') or ''}")
        uses = (home, *named, base)
        branch = FAST if any(tune["branch"] == FAST for tune in uses) else base["branch"]
        if messages := check_prompt(services, caller, branch, body, uses=uses, named=named):
            raise Invalid(messages)
        backend = services.backend_for_prompt({**attributes, "branch": branch})
        refusal = backend.refusal(branch, root_base(base))
        if refusal:
            raise Invalid({"tune": [Message("must exist", refusal)]})
        media, attributes = split_media(attributes)
        attributes = {**attributes, **extra, "text": text, "tune_id": base.id}
        ref = fingerprint(attributes)
        same = Query(caller.account, ref=ref, limit=1)
        may_repeat = caller.idempotent and not is_copy
        if may_repeat and (rows := services.store.find("prompt", same)):
            return Creation(rows[0], repeated=True)
        waits = any(tune["state"] in ("queued", "training") for tune in uses)
        now = services.clock.now()
        subject = next((tune for tune in (*named, home) if tune.owner is not None), None)
        fields: NewPromptRow = {
            **UNTIMED,
            **NULLS,
            "workspace_id": caller.own_workspace,
            **cast(PromptAttributes, attributes),
            "state": "waiting" if waits else "queued",
            "created_at": now,
            "updated_at": now,
            "origin": caller.origin,
            "branch": branch,
            "home_tune_id": home.id,
            "class_name": subject["name"] if subject else "",
            "tune": brief(base),
            "tunes": [brief(tune) for tune in named],
            "image_keys": [],
            "files": {},
            "is_api": True,
            "liked": False,
            "prompt_likes_count": 0,
            "backend": backend.name,
        }
        ids = dict.fromkeys(tune.id for tune in uses)
        refs: tuple[int | str, ...] = (*ids, ref, *pack_refs(attributes.get("pack_id")))
        row = services.store.insert("prompt", caller.account, fields, refs=refs)
        row = services.store.update(row, {"files": keep_media(services, row, media)})
        services.runner.expect(row)
        if not waits:
            services.schedule("start_prompt", row, now)
    log.info("prompt %d: branch %s is served by the %s backend", row.id, branch, row["backend"])
    return Creation(row)


def _rehome(services: Services, home: Row, attributes: Attributes) -> tuple[str, Row]:
    """Return the text of a prompt that is posted under a tune, and the tune that it moves to."""
    text = attributes.get("text") or ""
    if not attributes.get("pack_id"):  # a template is filled in when its pack is run
        text = fill(text, home.get("characteristics"))
    if not home["model_type"]:
        return text, home
    if home.id not in {token.tune_id for token in tokens(text)}:
        token = token_for(home["model_type"], home.id, attributes.get("lora_scale"))
        text = f"{token} {text}".rstrip()
    base = services.store.get("tune", home["home_base_id"])
    if base is None:  # an own tune that has been deleted since
        base = services.store.get("tune", services.gallery.default_base[home["branch"]])
    return text, base or home


def refuse_adapter(services: Services, tune: Row) -> None:
    """Refuse a prompt under a LoRA or FaceID tune, as Astria did until the end of 2025.

    Raises Invalid where that is assumed.
    """
    if tune["model_type"] and services.assumed("adapter-prompts") == "refuse":
        message = f"model_type={tune['model_type']} is not supported. Use a checkpoint instead"
        raise Invalid({"tune": [message]})


def prompt_attributes(
    services: Services, row: Row, *, leave_out: Collection[str] = ()
) -> dict[str, Any]:
    """Return a prompt's own attributes without its files, for a copy of it."""
    names = services.contract.property_names({"$ref": "#/components/schemas/PromptFields"})
    names -= set(leave_out)
    return {key: value for key, value in row.items() if key in names and value is not None}


def check_prompt(
    services: Services,
    caller: Caller,
    branch: str,
    body: Attributes,
    *,
    uses: Sequence[Row] = (),
    named: Sequence[Row] = (),
) -> dict[str, list[str]]:
    """Return messages by field for a prompt; `uses`: all its tunes, `named`: those in its text."""
    attributes = with_video_fields(services, body)
    name = attributes.get("video_model")
    model = services.gallery.video_model(name) if name else None
    messages = broken_rules(attributes, branch, model)
    general = [f"Tune {tune.id} has expired." for tune in uses if tune["state"] == "expired"]
    if uses and attributes.get("pack_id") and not named:
        general.append(NOT_A_TUNE)
    if general:
        messages.setdefault("base", []).extend(dict.fromkeys(general))
    return messages | check_references(services, caller, attributes)


def with_video_fields(services: Services, prompt: Attributes) -> dict[str, Any]:
    """Return a prompt's attributes, with flags in its text as video attributes that it lacks.

    A bare `--video` stands for the default model.
    """
    flags = video_fields(prompt.get("text") or "")
    if "video_model" in flags:
        flags["video_model"] = flags["video_model"] or services.gallery.default_video_model
    return {**prompt, **{key: value for key, value in flags.items() if prompt.get(key) is None}}


def named_tunes(services: Services, caller: Caller, text: str) -> list[Row]:
    """Return the tunes that the text's tokens name, each once.

    Ids of tunes that the caller cannot use are left to the model, as LoRAs by name are.
    """
    rows = [services.store.get("tune", id) for id in named_ids(text)]
    return [row for row in rows if row is not None and row.owner in (None, caller.account)]


def brief(tune: Row) -> Brief:
    """Return the summary of a tune that its prompts store."""
    return {"id": tune.id, "title": tune["title"]}


def pack_refs(pack_id: int | None) -> list[str]:
    """Return the refs by which a pack's templates are found."""
    return [template_ref(pack_id)] if pack_id else []


def fingerprint(attributes: Attributes) -> str:
    """Return the ref that two prompts share which count as the same."""
    values = [attributes.get(name) for name in FINGERPRINT]
    # Blank and false mean the same as leaving the field out; zero does not. 3 and 3.0 are equal.
    plain = [None if value is False or value == "" else value for value in values]
    text = json.dumps([float(value) if isinstance(value, int) else value for value in plain])
    return f"same:{blake2b(text.encode(), digest_size=12).hexdigest()}"
