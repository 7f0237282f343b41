"""Make tunes and prompts: what is checked, filled in and stored, whoever asks for them."""

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from emulator import mock
from emulator.backend import Artefact
from emulator.errors import Invalid, NotFound
from emulator.jobs import tune_ready
from emulator.lifecycle import UNTIMED, step
from emulator.prompt_text import fill, token_for, tokens, video_fields
from emulator.rules import broken_rules
from emulator.services import FAST, Caller, Services
from emulator.store import Query, Row
from emulator.values import Made, Upload
from emulator.wire import MEDIA

log = logging.getLogger(__name__)

Attributes = Mapping[str, Any]
# Attributes that make two prompts the same (docs/api/0-overview.md#idempotency, 2026-08-21).
FINGERPRINT = (
    "text", "tune_id", "cfg_scale", "steps", "seed", "callback", "negative_prompt",
    "super_resolution", "face_correct", "ar", "num_images", "controlnet", "denoising_strength",
    "use_lpw", "controlnet_conditioning_scale", "w", "h", "hires_fix", "scheduler",
    "controlnet_txt2img", "inpaint_faces",
)  # fmt: skip


def visible_tune(services: Services, caller: Caller, tune_id: int) -> Row:
    """An own tune or a gallery tune.

    Raises NotFound.
    """
    row = services.store.get("tune", tune_id)
    if row is None or row.owner not in (None, caller.account):
        raise NotFound
    return row


def own(services: Services, caller: Caller, table: str, id: int) -> Row:
    """The caller's own object.

    Raises NotFound.
    """
    row = services.store.get(table, id)
    if row is None or row.owner != caller.account:
        raise NotFound
    return row


# -- tunes -----------------------------------------------------------------------------------------
def make_tune(services: Services, caller: Caller, body: Attributes, **more: Any) -> Made:
    """Make a tune, and the prompts nested in it. `more` are attributes that the server adds.

    Raises Invalid with all that is wrong, and then nothing is stored.
    """
    attributes = {
        key: value
        for key, value in body.items()
        if key not in ("images", "image_urls", "prompts_attributes")
    }
    images = [_stored(item) for item in body.get("images") or ()] + [
        mock.reference(at) for at in body.get("image_urls") or ()
    ]
    title_mark = f"title:{attributes['title']}"
    with services.store.transaction():
        if caller.idempotent:
            if found := services.store.find("tune", Query(caller.account, ref=title_mark, limit=1)):
                return Made(found[0], repeated=True)
        branch, model_type, base = _kind(services, caller, attributes)
        messages = _tune_messages(services, attributes, model_type, base, len(images))
        nested = body.get("prompts_attributes") or ()
        for prompt in nested:
            for field, texts in broken_rules(
                _promoted(services, prompt), branch, _video_model(services, prompt)
            ).items():
                messages.setdefault(f"prompts.{field}", texts)
        if messages or base is None:
            raise Invalid(messages)
        now = services.clock.now()
        backend = services.backend_for(branch)
        token = (
            None
            if model_type == "faceid"
            else attributes.get("token") or ("sks" if branch == "sd15" else "ohwx")
        )
        fixed = {
            **UNTIMED,
            "callback": None,
            "base_tune_id": None,
            "steps": None,
            "expires_at": None,
            "auto_extend": False,
            **attributes,
            **more,
            "branch": branch,
            "model_type": model_type,
            "token": token,
            "state": "queued",
            "is_api": True,
            "created_at": now,
            "updated_at": now,
            "eta": now + timedelta(seconds=backend.train_seconds(attributes)),
            "origin": caller.origin,
            "home_base_id": base["home_base_id"] if base["model_type"] else base.id,
            "workspace_id": caller.workspace if isinstance(caller.workspace, int) else None,
            "image_keys": [],
            "backend": backend.name,
        }
        row = services.store.insert("tune", caller.account, fixed, refs=(title_mark,))
        keys = [
            services.files.put(f"tune/{row.id}/image/{at}", i.content_type, i.content)
            for at, i in enumerate(images)
        ]
        row = services.store.update(row, {"image_keys": keys})
        if model_type == "faceid":
            row = services.store.update(row, step("tune", row, "finish", now))
            tune_ready(services, row)
        else:
            services.schedule("start_tune", row, now)
        log.info("tune %d: branch %s is served by the %s backend", row.id, branch, backend.name)
        for prompt in nested:
            make_prompt(services, caller, row, prompt)
    return Made(row)


def _kind(
    services: Services, caller: Caller, attributes: Attributes
) -> tuple[str, str | None, Row | None]:
    """Branch, model type and base of a new tune; the base is None when there is no such tune."""
    base_id = attributes.get("base_tune_id")
    try:
        base = visible_tune(services, caller, base_id) if base_id else None
    except NotFound:
        base = None
    branch = attributes.get("branch") or (base["branch"] if base else "sd15")
    asked = attributes.get("model_type")
    model_type = (
        asked if asked == "faceid" else {"sdxl1": "pti", "flux1": "lora"}.get(branch, asked)
    )
    if not base_id:
        base = services.store.get("tune", services.catalogue.default_base[branch])
    return branch, model_type, base


def _tune_messages(
    services: Services,
    attributes: Attributes,
    model_type: str | None,
    base: Row | None,
    images: int,
) -> dict[str, list[str]]:
    messages: dict[str, list[str]] = {}
    if base is None or base["state"] in ("failed", "expired"):
        messages["base_tune_id"] = ["must exist"]
    fewest = 1 if model_type == "faceid" else int(services.assumed("minimum-images"))
    if images < fewest:
        plural = "one image" if fewest == 1 else f"{fewest} images"
        messages["images"] = [f"must contain at least {plural}"]
    name = attributes["name"]
    if services.assumed("class-names") == "strict" and not (
        name.isascii() and name.replace(" ", "").isalnum()
    ):
        messages["name"] = ["only English letters, digits, spaces"]
    return messages


# -- prompts ---------------------------------------------------------------------------------------
def make_prompt(
    services: Services, caller: Caller, home: Row, body: Attributes, **more: Any
) -> Made:
    """Make a prompt under a tune.

    Under a LoRA or FaceID tune it moves to the base, and the text names the tune.

    Raises Invalid with all that is wrong, and then nothing is stored.
    """
    given = _promoted(services, body)
    text = fill(given.get("text") or "", home.get("characteristics"))
    base = home
    if home["model_type"]:
        if services.assumed("adapter-prompts") == "refuse":
            kind = home["model_type"]
            message = f"model_type={kind} is not supported. Use a checkpoint instead"
            raise Invalid({"tune": [message]})
        base = services.store.get("tune", home["home_base_id"]) or home
        if home.id not in {token.tune_id for token in tokens(text)}:
            text = (
                f"{token_for(home['model_type'], home.id, body.get('lora_scale'))} {text}".rstrip()
            )
    named = _named_tunes(services, caller, f"{text} {given.get('video_prompt') or ''}")
    branch = FAST if any(tune["branch"] == FAST for tune in (home, *named)) else base["branch"]
    messages = _prompt_messages(services, caller, given, branch, [home, *named], bool(named))
    if messages:
        raise Invalid(messages)
    media, attributes = _media(given)
    attributes = {**attributes, **more, "text": text, "tune_id": base.id}
    refs: dict[int | str, None] = dict.fromkeys(
        [base.id, home.id, *(tune.id for tune in named), fingerprint(attributes)]
    )
    if attributes.get("pack_id"):
        refs[f"pack:{attributes['pack_id']}"] = None
    with services.store.transaction():
        same = Query(caller.account, ref=fingerprint(attributes), limit=1)
        if caller.idempotent and (found := services.store.find("prompt", same)):
            return Made(found[0], repeated=True)
        waits = any(tune["state"] in ("queued", "training") for tune in (home, *named))
        now = services.clock.now()
        subject = next((tune for tune in (*named, home) if tune.owner is not None), None)
        fixed = {
            **UNTIMED,
            **dict.fromkeys(NULLS),
            "workspace_id": caller.workspace if isinstance(caller.workspace, int) else None,
            **attributes,
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
            "liked": False,
            "prompt_likes_count": 0,
            "backend": services.backend_for(branch).name,
        }
        row = services.store.insert("prompt", caller.account, fixed, refs=tuple(refs))
        row = services.store.update(row, {"files": _keep(services, row, media)})
        if not waits:
            services.schedule("start_prompt", row, now)
    return Made(row)


NULLS = (
    "callback", "base_pack_id", "pack_id", "order_id", "orig_prompt_id", "user_error", "cfg_scale",
    "steps", "seed", "style", "w", "h", "controlnet_conditioning_scale", "denoising_strength",
    "aspect_ratio", "resolution",
)  # fmt: skip


def brief(tune: Row) -> dict[str, Any]:
    return {"id": tune.id, "title": tune["title"]}


def fingerprint(attributes: Attributes) -> str:
    """What two prompts that count as the same have in common."""
    values = json.dumps([attributes.get(name) or None for name in FINGERPRINT])
    return f"same:{blake2b(values.encode(), digest_size=12).hexdigest()}"


def _promoted(services: Services, prompt: Attributes) -> dict[str, Any]:
    """Flags in the text stand for video attributes that were not given.

    A bare `--video` for the default model.
    """
    found = {
        key: value
        for key, value in video_fields(prompt.get("text") or "").items()
        if prompt.get(key) is None
    }
    if "video_model" in found:
        found["video_model"] = found["video_model"] or services.catalogue.default_video_model
    return {**prompt, **found}


def _video_model(services: Services, prompt: Attributes) -> Any:
    name = _promoted(services, prompt).get("video_model")
    return services.catalogue.video_model(name) if name else None


def _named_tunes(services: Services, caller: Caller, text: str) -> list[Row]:
    """The tunes that tokens name, each once.

    A number that names none of the caller's is left to the model.
    """
    ids = dict.fromkeys(token.tune_id for token in tokens(text) if token.tune_id)
    rows = [services.store.get("tune", id) for id in ids]
    return [row for row in rows if row is not None and row.owner in (None, caller.account)]


def _prompt_messages(
    services: Services,
    caller: Caller,
    given: Attributes,
    branch: str,
    tunes: Sequence[Row],
    names_tune: bool,
) -> dict[str, list[str]]:
    messages = broken_rules(given, branch, _video_model(services, given))
    expired = [f"Tune {tune.id} has expired." for tune in tunes if tune["state"] == "expired"]
    if given.get("pack_id") and not names_tune:
        expired.append("Prompt is not using a fine-tuned model")
    if expired:
        messages.setdefault("base", []).extend(dict.fromkeys(expired))
    return messages | unknown_places(services, caller, given)


def unknown_places(services: Services, caller: Caller, given: Attributes) -> dict[str, list[str]]:
    """Messages for packs and workspaces that the caller cannot use."""
    places = {"workspace_id": "workspace", "pack_id": "pack", "base_pack_id": "pack"}
    found = {}
    for field, table in places.items():
        if given.get(field):
            row = services.store.get(table, given[field])
            if row is None or row.owner not in (
                caller.account,
                None if field == "base_pack_id" else caller.account,
            ):
                found[field] = ["must exist"]
    return found


# -- files -----------------------------------------------------------------------------------------
def _stored(given: Upload | Artefact) -> Artefact:
    return given if isinstance(given, Artefact) else Artefact(given.content_type, given.data)


def _media(given: Attributes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a prompt's attributes into files and the rest.

    A file wins over an address, and that over base64.
    """
    rest = dict(given)
    media: dict[str, Any] = {}
    for name in MEDIA:
        upload, address, encoded = (
            rest.pop(name, None),
            rest.pop(f"{name}_url", None),
            rest.pop(f"{name}_base64", None),
        )
        if upload is not None:
            media[name] = _stored(upload)
        elif address:
            media[name] = mock.reference(address)
        elif encoded:
            header, _, data = encoded.partition(",")
            media[name] = Artefact(
                header.removeprefix("data:").partition(";")[0], base64.b64decode(data + "==")
            )
    uploads, addresses = rest.pop("image_references", None), rest.pop("image_reference_urls", None)
    references = [_stored(item) for item in uploads or ()] + [
        mock.reference(at) for at in addresses or ()
    ]
    return media | ({"image_references": references} if references else {}), rest


def _keep(services: Services, row: Row, media: Mapping[str, Any]) -> dict[str, Any]:
    """Store a prompt's files and return their keys by name."""
    kept: dict[str, Any] = {}
    for name, found in media.items():
        places = [
            (f"prompt/{row.id}/{name}/{at}", item)
            for at, item in enumerate(found if isinstance(found, list) else [found])
        ]
        keys = [
            services.files.put(place, item.content_type, item.content) for place, item in places
        ]
        kept[name] = keys if isinstance(found, list) else keys[0]
    return kept
