"""Attributes that a request sets, and how an answer shows them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from astria_contracts.spec.document import JSON, Document, Operation, Schema
from astria_contracts.spec.values import strategy_of

# Attributes that answers do not show as they were sent, or only together with others.
NOT_ECHOED: Mapping[str, str] = {
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
# Defaults that the contract does not state.
SHOWN_BY_DEFAULT: Mapping[str, Any] = {
    "negative_prompt": "",
    "face_crop": False,
    "training_face_correct": False,
}
# Attributes that differ between two objects created from the same request.
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


def echoed(document: Document, operation: Operation) -> dict[str, Schema]:
    """Those of them that the answer shows unchanged."""
    status = min(status for status in operation.responses if status < 300)
    shown = document.flat(operation.responses[status][JSON])["properties"]
    taken = attributes_of(document, operation)
    return {
        name: schema
        for name, schema in taken.items()
        if name in shown and name not in NOT_ECHOED and "format" not in schema
    }


def sent_to(
    document: Document, operation: Operation, *, always: Iterable[str] = ()
) -> st.SearchStrategy[dict[str, Any]]:
    """A strategy for valid attributes that are shown unchanged; all but `always` are optional."""
    schemas = echoed(document, operation)
    values = {name: strategy_of(document, schema) for name, schema in schemas.items()}
    values["text"] = values.get("text", st.nothing()).filter(is_plain)
    if "w" in values:
        small = st.integers(8, 96).map(lambda eighths: eighths * 8)
        values |= {"w": small, "h": small}  # some models allow no more
    fixed = {name: values.pop(name) for name in always}
    values.pop("text", None)
    return st.fixed_dictionaries(fixed, optional=values)


def is_plain(text: str) -> bool:
    """Whether a text has no syntax in it: no placeholder, no token, no flag."""
    return not any(mark in text for mark in ("{{", "<", "--"))


def as_shown(document: Document, operation: Operation, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that an object must show, from those sent and the defaults."""
    shown = {}
    for name, schema in echoed(document, operation).items():
        default = schema.get("default", SHOWN_BY_DEFAULT.get(name))
        value = sent.get(name)
        shown[name] = default if value is None else value
    return shown


def of(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Some attributes of an object; a decimal that is sent as text is read as a number."""
    found = {name: item[name] for name in names}
    if isinstance(found.get("cfg_scale"), str):
        found["cfg_scale"] = float(found["cfg_scale"])
    return found


def comparable(shown: Any) -> Any:
    """An object without its OWN attributes: equal for objects created from the same request."""
    kept = {name: value for name, value in shown.items() if name not in OWN}
    if "text" in kept:
        kept |= {"text": TOKEN.sub("<its tune>", kept["text"]), "tunes": len(kept["tunes"])}
    counts = {name: len(shown[name]) for name in ("orig_images",) if name in shown}
    return kept | counts
