"""Make prompts: what is checked, filled in and stored, whoever asks for them."""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

from astria_emulator.domain.lifecycle import UNTIMED
from astria_emulator.domain.prompt_rules import broken_rules
from astria_emulator.domain.prompt_text import fill, token_for, tokens, video_fields
from astria_emulator.domain.rows import Brief, NewPromptRow, PromptAttributes, PromptNulls
from astria_emulator.errors import Invalid, Message, NotFound
from astria_emulator.objects.access import unknown_places
from astria_emulator.objects.lineage import root_base
from astria_emulator.objects.media import keep_media, split_media
from astria_emulator.objects.results import Made
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
# What the wire shows as null when it was not given.
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
    **more: Any,
) -> Made:
    """Make a prompt under a tune; `more` are attributes that the server adds.

    Under a LoRA or FaceID tune it moves to the base, and its text names the tune. A copy is a new
    prompt even where prompts that are equal count as one.
    Raises Invalid with all that is wrong, and then nothing is stored.
    """
    with services.store.transaction():
        found_home = services.store.current(home)
        if found_home is None:
            raise NotFound
        home = found_home
        given = with_video_fields(services, body)
        text, base = _rehomed(services, home, given)
        named = named_tunes(services, caller, f"{text} {given.get('video_prompt') or ''}")
        uses = (home, *named, base)
        branch = FAST if any(tune["branch"] == FAST for tune in uses) else base["branch"]
        if messages := check_prompt(services, caller, branch, body, uses=uses, named=named):
            raise Invalid(messages)
        backend = services.backend_for_prompt({**given, "branch": branch})
        absence = backend.refusal(branch, root_base(base))
        if absence:
            raise Invalid({"tune": [Message("must exist", absence)]})
        media, attributes = split_media(given)
        attributes = {**attributes, **more, "text": text, "tune_id": base.id}
        ref = fingerprint(attributes)
        same = Query(caller.account, ref=ref, limit=1)
        repeats = caller.idempotent and not is_copy
        if repeats and (found := services.store.find("prompt", same)):
            return Made(found[0], repeated=True)
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
    return Made(row)


def _rehomed(services: Services, home: Row, given: Attributes) -> tuple[str, Row]:
    """The text of a prompt posted under a tune, and the base that it is made on."""
    text = given.get("text") or ""
    if not given.get("pack_id"):  # a template is filled in when its pack is run
        text = fill(text, home.get("characteristics"))
    if not home["model_type"]:
        return text, home
    if home.id not in {token.tune_id for token in tokens(text)}:
        token = token_for(home["model_type"], home.id, given.get("lora_scale"))
        text = f"{token} {text}".rstrip()
    base = services.store.get("tune", home["home_base_id"])
    if base is None:  # an own tune that has been deleted since
        base = services.store.get("tune", services.gallery.default_base[home["branch"]])
    return text, base or home


def refuse_adapter(services: Services, tune: Row) -> None:
    """What was answered until the end of 2025 to a prompt posted under a LoRA or FaceID tune.

    Raises Invalid where that is assumed.
    """
    if tune["model_type"] and services.assumed("adapter-prompts") == "refuse":
        message = f"model_type={tune['model_type']} is not supported. Use a checkpoint instead"
        raise Invalid({"tune": [message]})


def prompt_attributes(
    services: Services, row: Row, *, leave_out: Collection[str] = ()
) -> dict[str, Any]:
    """What the request of a prompt said in words, to be said again for a copy."""
    names = services.contract.property_names({"$ref": "#/components/schemas/PromptFields"})
    kept = names - set(leave_out)
    return {key: value for key, value in row.items() if key in kept and value is not None}


def check_prompt(
    services: Services,
    caller: Caller,
    branch: str,
    body: Attributes,
    *,
    uses: Sequence[Row] = (),
    named: Sequence[Row] = (),
) -> dict[str, list[str]]:
    """Messages by field for a prompt; `uses` are all of its tunes, `named` those in its text."""
    given = with_video_fields(services, body)
    name = given.get("video_model")
    model = services.gallery.video_model(name) if name else None
    messages = broken_rules(given, branch, model)
    general = [f"Tune {tune.id} has expired." for tune in uses if tune["state"] == "expired"]
    if uses and given.get("pack_id") and not named:
        general.append(NOT_A_TUNE)
    if general:
        messages.setdefault("base", []).extend(dict.fromkeys(general))
    return messages | unknown_places(services, caller, given)


def with_video_fields(services: Services, prompt: Attributes) -> dict[str, Any]:
    """Flags in the text stand for video attributes that were not given.

    A bare `--video` stands for the default model.
    """
    found = video_fields(prompt.get("text") or "")
    if "video_model" in found:
        found["video_model"] = found["video_model"] or services.gallery.default_video_model
    return {**prompt, **{key: value for key, value in found.items() if prompt.get(key) is None}}


def named_tunes(services: Services, caller: Caller, text: str) -> list[Row]:
    """The tunes that tokens name, each once.

    A number that is none of the caller's is left to the model, as LoRAs by name are.
    """
    ids = dict.fromkeys(token.tune_id for token in tokens(text) if token.tune_id)
    rows = [services.store.get("tune", id) for id in ids]
    return [row for row in rows if row is not None and row.owner in (None, caller.account)]


def brief(tune: Row) -> Brief:
    return {"id": tune.id, "title": tune["title"]}


def pack_refs(pack_id: int | None) -> list[str]:
    """What a pack's templates are found by."""
    return [template_ref(pack_id)] if pack_id else []


def fingerprint(attributes: Attributes) -> str:
    """What two prompts that count as the same have in common."""
    values = [attributes.get(name) for name in FINGERPRINT]
    # A blank and false are what not to say them means; zero is not. 3 and 3.0 are the same.
    plain = [None if value is False or value == "" else value for value in values]
    text = json.dumps([float(value) if isinstance(value, int) else value for value in plain])
    return f"same:{blake2b(text.encode(), digest_size=12).hexdigest()}"
