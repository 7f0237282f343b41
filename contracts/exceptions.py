"""Schemathesis hooks: alarms that are none, each with its reason. `schemathesis.toml` loads them.

A failure is dropped only for what a schema cannot say about this API. Server errors, status,
schema, content type and authentication have no exception.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

from contracts.reading import Reader


@dataclass(frozen=True)
class Rule:
    """A message that may refuse a request which fits the schema: where, and why."""

    message: str
    fields: str  # a pattern for the field's last name
    reason: str
    paths: str = ".*"  # a pattern for the operation's path


RULES = (
    Rule("must exist", ".*_ids?|tune", "generated ids mostly name no object of the account"),
    Rule("has expired.", "base", "the tune that is named has expired"),
    Rule("not using a fine-tuned model", "base", "a template's text must name a tune that exists"),
    Rule("combined with references", "base", "two modes of a video model exclude each other"),
    Rule("not supported on Flux", "negative_prompt", "depends on the tune"),
    Rule("not supported on Partner", "hires_fix", "depends on the tune"),
    Rule("must be less than or equal to 768", "w|h", "depends on the tune's branch"),
    Rule("not supported by this video model", "image_references", "depends on the video model"),
    Rule("only for videos", "image_references", "image references need a video model"),
    Rule("is missing", "input_video", "motion control needs a driving video"),
    Rule("is not included in the list", "video_duration", "depends on the video model"),
    Rule("is not included in the list", "image_index", "depends on the original's pictures"),
    Rule("is not included in the list", "name", "a class of the pack", "/p/.*"),
    Rule("can't be blank", "video_prompt|text", "a video needs a motion, a picture a text"),
    Rule("can't be blank", "title|name|tune_ids", "what is needed depends on the mode", "/p/.*"),
    Rule("at least one image", "images", "needed where there are no tune_ids", "/p/.*"),
    Rule("at least one image", "images", "files within an object are not generated", "/tunes"),
)
# A generated form whose *additional* fields break Rack's bracket rules, which refuse the request.
FORM_RULES = ("is sent as two kinds of thing", "has no name", "levels", "cannot be parsed")
NAME = re.compile(r"[^\[\]]+(\[[^\[\]]+\])*")
document: dict[str, Any] = {}


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Give every part of the document its own copy.

    YAML anchors make parts shared objects, and links that are inferred for one would show in all.
    """
    raw_schema.update(json.loads(json.dumps(raw_schema)))
    document.update(json.loads(json.dumps(raw_schema)))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Write headers as text: a linked id arrives here as the number that the answer had."""
    for name, value in dict(case.headers or {}).items():
        if isinstance(value, int):
            case.headers[name] = str(value)


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Tell whether a failure counts."""
    if isinstance(failure, RejectedPositiveData):
        return not (_breaks_a_rule(case, response) or _breaks_a_form(case, response))
    if isinstance(failure, AcceptedNegativeData):
        # In a form wrong types turn into text or vanish: the server does not see what was wrong.
        return not (_is_form(case) or _is_valid_as_read(case))
    return True


@schemathesis.serializer("application/x-www-form-urlencoded")
def rack_form(context: Any, value: Any) -> bytes:
    """Nested data as Rack reads it; OpenAPI's `deepObject` leaves lists undefined."""
    return urlencode(list(_fields("", value))).encode()


def _fields(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            path = f"{name}[{key}]" if name else key  # `deepObject` has already joined two levels
            if NAME.fullmatch(path):  # a form has no way to say others
                yield from _fields(path, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            nested = isinstance(item, dict | list)
            yield from _fields(f"{name}[{index}]" if nested else f"{name}[]", item)
    elif value is not None:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _breaks_a_rule(case: Any, response: Any) -> bool:
    """422, and every message is one of a rule."""
    if response.status_code != 422:
        return False
    return all(
        any(
            text.endswith(rule.message)
            and re.fullmatch(rule.fields, field.rpartition(".")[2])
            and re.fullmatch(rule.paths, case.operation.path)
            for rule in RULES
        )
        for field, texts in response.json().items()
        for text in texts
    )


def _breaks_a_form(case: Any, response: Any) -> bool:
    told = any(rule in response.text for rule in FORM_RULES)
    return response.status_code == 400 and _is_form(case) and told


def _is_form(case: Any) -> bool:
    return "form" in (case.media_type or "")


def _is_valid_as_read(case: Any) -> bool:
    """Whether the request fits the contract once it is read as this API reads."""
    reader = Reader(document)
    item = document["paths"][case.operation.path]
    operation = item[case.method.lower()]
    listed = (*item.get("parameters", ()), *operation.get("parameters", ()))
    parameters = [reader.parts(parameter)[0] for parameter in listed]
    for place, sent in (("query", case.query), ("header", case.headers)):
        schemas = {p["name"]: p["schema"] for p in parameters if p["in"] == place}
        given = {name: _as_sent(value) for name, value in dict(sent or {}).items()}
        known = {name: value for name, value in given.items() if name in schemas}
        if not reader.is_valid({"type": "object", "properties": schemas}, known):
            return False
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return schema is None or reader.is_valid(schema, case.body)


def _as_sent(value: Any) -> Any:
    """A query string and headers have no objects: they are absent there."""
    return "" if isinstance(value, dict) else value
