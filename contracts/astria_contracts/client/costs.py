"""Requests not sent to a public server: they cost money, or what they change is not this run's."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from astria_contracts.spec.document import Operation

Created = Collection[tuple[str, str]]  # key and path of what this run has made
COSTLY = {"run_pack", "create_theme", "inspect_image", "create_pack", "create_workspace"}
# By the documentation only pictures on a fast tune are free, and storage until it is extended.
WORDS = ("video_model", "video_prompt", "input_video", "--video")


def is_costly(
    operation: Operation, values: Mapping[str, str], body: Any, *, key: str, created: Created
) -> bool:
    """Whether not to send a request; `values` are the parameters in its path."""
    inner = body.get(operation.wrapper, body) if isinstance(body, dict) else {}
    inner = inner if isinstance(inner, dict) else {}
    text = json.dumps(body, default=repr)
    if operation.id in COSTLY or any(word in text for word in WORDS):
        return True
    if inner.get("auto_extend") not in (None, False):
        return True
    if operation.id == "create_tune":
        return inner.get("branch") != "fast"
    if operation.id in ("create_prompt", "create_tune_prompt"):
        tune = values.get("tune_id", inner.get("tune_id"))
        return (key, f"/tunes/{tune}") not in created
    if "id" in values and operation.method != "GET":
        kind = "tunes" if operation.id.endswith("_tune") else "prompts"
        return (key, f"/{kind}/{values['id']}") not in created
    return False


def created_paths(operation: Operation, answer: Any) -> list[str]:
    """The paths of the objects that an answer has created."""
    if operation.method != "POST" or not isinstance(answer, dict):
        return []
    ids = answer.get("prompt_ids", ())
    if "created_at" not in answer:
        return [f"/prompts/{id}" for id in ids]
    if operation.id in ("create_tune", "run_pack"):
        return [f"/tunes/{answer['id']}"]
    if operation.id in ("create_pack", "create_workspace"):
        return [f"/{operation.id.removeprefix('create_')}s/{answer['id']}"]
    return [f"/prompts/{answer['id']}"]
