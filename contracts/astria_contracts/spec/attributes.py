"""What a request may say of an object, and what the object then shows."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from astria_contracts.spec.document import JSON, Document, Operation, Schema
from astria_contracts.spec.values import strategy_of

# Attributes that are not repeated as they were sent, or not by themselves.
NOT_REPEATED: Mapping[str, str] = {
    "branch": "what a tune is trained as depends on it, its base and its kind",
    "model_type": "as branch",
    "base_tune_id": "as branch, and needs an object",
    "workspace_id": "needs an object",
    "pack_id": "needs an object",
    "base_pack_id": "needs an object",
    "tune_id": "needs an object",
    "video_model": "forbids and needs others",
    "video_prompt": "as video_model",
    "video_duration": "as video_model",
}
# What an object shows where nothing was given, besides defaults of the contract.
UNGIVEN: Mapping[str, Any] = {
    "negative_prompt": "",
    "face_crop": False,
    "training_face_correct": False,
}
# What two objects differ in that were made alike.
OWN = {"id", "title", "slug", "url", "eta", "created_at", "updated_at", "order_id"}
OWN |= {"started_training_at", "trained_at", "expires_at", "images", "ckpt_url", "ckpt_urls"}
OWN |= {"progress_timing_seconds", "progress_elapsed_seconds"}  # work goes on meanwhile
TOKEN = re.compile(r"<lora:\d+:1>")
OWN |= {"orig_images", "input_image", "mask_image", "tune_id", "tune"}  # addresses, and the tune


def attributes_of(document: Document, operation: Operation) -> dict[str, Schema]:
    """The schema of each attribute that an operation takes."""
    body = document.flat(operation.bodies[JSON])
    inner = document.flat(body["properties"][operation.wrapper]) if operation.wrapper else body
    return {name: document.flat(schema) for name, schema in inner["properties"].items()}


def repeated(document: Document, operation: Operation) -> dict[str, Schema]:
    """Those of them that the answer shows as they were sent."""
    status = min(status for status in operation.responses if status < 300)
    shown = document.flat(operation.responses[status][JSON])["properties"]
    taken = attributes_of(document, operation)
    return {
        name: schema
        for name, schema in taken.items()
        if name in shown and name not in NOT_REPEATED and "format" not in schema
    }


def sent_to(
    document: Document, operation: Operation, *, always: Iterable[str] = ()
) -> st.SearchStrategy[dict[str, Any]]:
    """Attributes that are taken, and shown as they are; any may be left out but `always`."""
    schemas = repeated(document, operation)
    values = {name: strategy_of(document, schema) for name, schema in schemas.items()}
    values["text"] = values.get("text", st.nothing()).filter(is_plain)
    if "w" in values:
        small = st.integers(8, 96).map(lambda eighths: eighths * 8)
        values |= {"w": small, "h": small}  # some models allow no more
    fixed = {name: values.pop(name) for name in always}
    values.pop("text", None)
    return st.fixed_dictionaries(fixed, optional=values)


def is_plain(text: str) -> bool:
    """Whether a text has nothing in it that is read: a slot to be filled, a token, a flag."""
    return not any(mark in text for mark in ("{{", "<", "--"))


def as_shown(document: Document, operation: Operation, sent: Mapping[str, Any]) -> dict[str, Any]:
    """What an object shows of what was sent for it, and of what was not."""
    shown = {}
    for name, schema in repeated(document, operation).items():
        default = schema.get("default", UNGIVEN.get(name))
        value = sent.get(name)
        shown[name] = default if value is None else value
    return shown


def of(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """These attributes of an object; a decimal in a text as a number."""
    found = {name: item[name] for name in names}
    if isinstance(found.get("cfg_scale"), str):
        found["cfg_scale"] = float(found["cfg_scale"])
    return found


def comparable(shown: Any) -> Any:
    """An object without what is only its own: objects that were made alike are equal in it."""
    kept = {name: value for name, value in shown.items() if name not in OWN}
    if "text" in kept:
        kept |= {"text": TOKEN.sub("<its tune>", kept["text"]), "tunes": len(kept["tunes"])}
    counts = {name: len(shown[name]) for name in ("orig_images",) if name in shown}
    return kept | counts
