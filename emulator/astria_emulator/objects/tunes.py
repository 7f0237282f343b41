"""Create tunes: what is checked, filled in and stored, for every operation that does so."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from astria_emulator.backend import Artefact
from astria_emulator.domain.lifecycle import LONGEST_SECONDS, UNTIMED, step
from astria_emulator.domain.rows import NewTuneRow, TuneAttributes, TuneNulls
from astria_emulator.errors import Invalid, Message, NotFound
from astria_emulator.objects.access import visible
from astria_emulator.objects.lineage import root_base
from astria_emulator.objects.media import artefact, is_caption
from astria_emulator.objects.prompts import check_prompt, make_prompt
from astria_emulator.objects.removal import schedule_expiry
from astria_emulator.objects.results import Creation
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import base_ref, title_ref
from astria_emulator.storage.store import Query, Row

log = logging.getLogger(__name__)

Attributes = Mapping[str, Any]
NOT_STORED = ("images", "image_urls", "prompts_attributes")
NULLS: TuneNulls = {"callback": None, "base_tune_id": None, "steps": None, "expires_at": None}


def make_tune(services: Services, caller: Caller, body: Attributes) -> Creation:
    """Create a tune, and the prompts nested in it.

    Raises Invalid with all that is wrong; nothing is stored then.
    """
    attributes = {key: value for key, value in body.items() if key not in NOT_STORED}
    uploads = [artefact(upload) for upload in body.get("images") or ()]
    captions = [upload for upload in uploads if is_caption(upload)]
    images = [upload for upload in uploads if upload not in captions]
    images += [Artefact.at(address) for address in body.get("image_urls") or ()]
    nested = body.get("prompts_attributes") or ()
    ref = title_ref(attributes["title"])
    with services.store.transaction():
        same = Query(caller.account, ref=ref, limit=1)
        if caller.idempotent and (rows := services.store.find("tune", same)):
            return Creation(rows[0], repeated=True)
        named = _named_base(services, caller, attributes)
        branch = _branch(attributes, named)
        model_type = _model_type(branch, attributes)
        base = _base(services, attributes, branch, named)
        backend = services.backend_for(branch)
        refusal = backend.refusal(branch, root_base(base)) if base else None
        messages = _messages(services, attributes, model_type, base, len(images))
        if refusal:
            messages["base_tune_id"] = [Message("must exist", refusal)]
        for prompt in nested:
            for field, prompt_messages in check_prompt(services, caller, branch, prompt).items():
                messages.setdefault(f"prompts.{field}", prompt_messages)
        if messages or base is None:
            raise Invalid(messages)
        now = services.clock.now()
        work = {**attributes, "branch": branch, "model_type": model_type, "image_keys": images}
        fields: NewTuneRow = {
            **UNTIMED,
            **NULLS,
            "auto_extend": False,
            **cast(TuneAttributes, attributes),
            "branch": branch,
            "model_type": model_type,
            "token": _token(branch, model_type, attributes),
            "state": "queued",
            "is_api": True,
            "created_at": now,
            "updated_at": now,
            "eta": now + timedelta(seconds=min(backend.train_seconds(work), LONGEST_SECONDS)),
            "origin": caller.origin,
            "home_base_id": base["home_base_id"] if base["model_type"] else base.id,
            "root_base_id": root_base(base),
            "workspace_id": caller.own_workspace,
            "image_keys": [],
            "backend": backend.name,
        }
        refs = (ref, *([base_ref(named.id)] if named and named.owner is not None else ()))
        row = services.store.insert("tune", caller.account, fields, refs=refs)
        files = {
            "image_keys": _store_files(services, row, "image", images),
            "image_names": [image.name for image in images],
            "caption_keys": _store_files(services, row, "caption", captions),
            "caption_names": [caption.name for caption in captions],
        }
        row = services.store.update(row, files)
        if model_type == "faceid":
            row = services.store.update(row, step("tune", row, "finish", now))
            schedule_expiry(services, row)
        else:
            services.schedule("start_tune", row, now)
        for prompt in nested:
            try:
                make_prompt(services, caller, row, prompt)
            except Invalid as error:
                messages = {f"prompts.{field}": told for field, told in error.messages.items()}
                raise Invalid(messages) from None
    log.info("tune %d: branch %s is served by the %s backend", row.id, branch, backend.name)
    return Creation(row)


def needs_files(services: Services, caller: Caller, attributes: Attributes) -> bool:
    """Return whether a backend trains on a tune's pictures, so that addresses must be fetched."""
    if attributes.get("model_type") == "faceid":
        return False
    branch = _branch(attributes, _named_base(services, caller, attributes))
    return not services.backend_for(branch).pretends


def _branch(attributes: Attributes, named: Row | None) -> str:
    branch: str = attributes.get("branch") or (named["branch"] if named else "sd15")
    return branch


def _store_files(services: Services, row: Row, kind: str, files: Sequence[Artefact]) -> list[str]:
    return [services.keep(f"tune/{row.id}/{kind}/{at}", file) for at, file in enumerate(files)]


def _named_base(services: Services, caller: Caller, attributes: Attributes) -> Row | None:
    try:
        return visible(services, caller, "tune", attributes.get("base_tune_id") or 0)
    except NotFound:
        return None


def _base(services: Services, attributes: Attributes, branch: str, named: Row | None) -> Row | None:
    """Return the tune to train on; None when the named one cannot be used."""
    if not attributes.get("base_tune_id"):
        return services.store.get("tune", services.gallery.default_base[branch])
    return named if named and named["state"] not in ("failed", "expired") else None


def _model_type(branch: str, attributes: Attributes) -> str | None:
    model_type: str | None = attributes.get("model_type")
    if model_type == "faceid":
        return model_type
    return {"sdxl1": "pti", "flux1": "lora"}.get(branch, model_type)


def _token(branch: str, model_type: str | None, attributes: Attributes) -> str | None:
    default = None if model_type == "faceid" else "sks" if branch == "sd15" else "ohwx"
    return attributes.get("token") or default


def _messages(
    services: Services,
    attributes: Attributes,
    model_type: str | None,
    base: Row | None,
    images: int,
) -> dict[str, Sequence[str]]:
    messages: dict[str, Sequence[str]] = {}
    if base is None:
        messages["base_tune_id"] = ["must exist"]
    minimum = 1 if model_type == "faceid" else int(services.assumed("minimum-images"))
    if images < minimum:
        count = "one image" if minimum == 1 else f"{minimum} images"
        messages["images"] = [f"must contain at least {count}"]
    name = attributes["name"]
    is_plain = name.isascii() and name.replace(" ", "").isalnum()
    if services.assumed("class-names") == "strict" and not is_plain:
        messages["name"] = ["only English letters, digits, spaces"]
    return messages
