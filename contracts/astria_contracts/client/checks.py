"""Checks of every answer: its schema, the form of errors, the order of lists, and no internals."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from astria_contracts.spec.document import JSON, Document, Operation

# Traces of an internal error in an answer.
INTERNALS = re.compile(
    r"Traceback \(most recent|File \"/|site-packages|werkzeug|sqlalchemy|psycopg|sqlite3"
    r"|ActiveRecord|/usr/(lib|local)|/home/| at 0x[0-9a-f]{8,}|<!DOCTYPE|<html",
    re.IGNORECASE,
)
TIMES = ("created_at", "started_training_at", "trained_at", "expires_at")


def problems(
    document: Document, operation: Operation, status: int, headers: Any, content: bytes
) -> Iterator[str]:
    """All that is wrong with an answer."""
    if status not in operation.responses:
        yield f"status {status} is not among {sorted(operation.responses)}"
        return
    text = content.decode(errors="replace")
    # In other answers this may be text that a user has written into a title.
    if status >= 400 and (found := INTERNALS.search(text)):
        yield f"shows what is within the server: {found[0]!r}"
    schemas = operation.responses[status]
    kind = headers.get("Content-Type", "").partition(";")[0].strip()
    if not schemas:
        if content:
            yield f"has a body, and none is documented: {text[:100]!r}"
        return
    if kind not in schemas:
        yield f"content type {kind!r} is not among {sorted(schemas)}"
        return
    if kind != JSON:
        return
    try:
        content.decode()
    except UnicodeDecodeError as error:
        yield f"is not UTF-8: {error.object[error.start : error.end]!r} at {error.start}"
    yield from json_problems(document, schemas[JSON], status, text)


def json_problems(document: Document, schema: Any, status: int, text: str) -> Iterator[str]:
    try:
        body = json.loads(text, parse_constant=_refuse)
    except ValueError:
        yield f"is no JSON: {text[:100]!r}"
        return
    yield from document.problems(schema, body)
    if status >= 400:
        yield from error_problems(status, body)
    elif isinstance(body, list):
        yield from order_problems(body)
        for item in body:
            yield from object_problems(item)
    else:
        yield from object_problems(body)


def _refuse(constant: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(constant)


def error_problems(status: int, body: Any) -> Iterator[str]:
    """What differs from the form in which Rails writes errors."""
    if not isinstance(body, dict):
        yield f"an error is an object, not {body!r}"
    elif status == 422:
        if not body or not all(isinstance(texts, list) and texts for texts in body.values()):
            yield f"422 lists messages by field: {body!r}"
    elif body.get("status") != status or not body.get("error"):
        yield f"an error repeats its status and says what it is: {body!r}"


def order_problems(items: list[Any]) -> Iterator[str]:
    """Lists are newest first, and have no item twice."""
    ids = [item["id"] for item in items if isinstance(item, dict) and _is_number(item.get("id"))]
    if ids != sorted(set(ids), reverse=True):
        yield f"ids do not descend: {ids}"


def object_problems(item: Any) -> Iterator[str]:
    """What is wrong with an object beyond its schema: the order of its times, images too early."""
    if not isinstance(item, dict):
        return
    times = {name: value for name, value in item.items() if isinstance(value, str)}
    # Of FaceID tunes the service sets created_at last, when it saves them (a recording of 2024).
    in_order = TIMES[1:] if item.get("model_type") == "faceid" else TIMES
    known = [(name, times[name]) for name in in_order if times.get(name)]
    for (earlier, first), (later, second) in pairwise(known):
        if first > second:
            yield f"{earlier} {first} is after {later} {second}"
    if times.get("updated_at") and times.get("created_at", "") > times["updated_at"]:
        yield f"updated_at {times['updated_at']} is before created_at {times['created_at']}"
    if "images" in item and "trained_at" in item:
        if item["images"] and not item["trained_at"]:
            yield "has pictures before it has ended"
        if item.get("user_error") and item["images"]:
            yield "has pictures, and an error that says why there are none"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
