"""Schemathesis hooks: alarms that are none, each with its reason. `schemathesis.toml` loads them.

A failure is dropped only for what a schema cannot say about this API. Server errors, status,
schema, content type and authentication have no exception.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

# A request that fits the schema, refused by a rule about other objects or between fields.
RULES = {
    "must exist": "an id names an object of the account, and generated ids mostly do not",
    "has expired.": "the tune that is named has expired",
    "Prompt is not using a fine-tuned model": "a template's text must name a tune that exists",
    "not supported on Flux": "depends on the tune",
    "not supported on Partner": "depends on the tune",
    "must be less than or equal to 768": "the largest picture depends on the tune's branch",
    "not supported by this video model": "depends on the video model",
    "only for videos": "image references need a video model",
    "is missing": "motion control needs a driving video",
    "cannot be combined with references": "two modes of a video model exclude each other",
    "is not included in the list": "durations depend on the video model, classes on the pack",
    "can't be blank": "a video needs a motion, a picture a text, and a training its pictures",
    "must contain at least one image": "pictures are needed where no tune_ids are given",
}
# A generated form whose *additional* fields break Rack's bracket rules, which refuse the request.
NAME = re.compile(r"[^\[\]]+(\[[^\[\]]+\])*")
FORM_RULES = ("is sent as two kinds of thing", "has no name", "levels", "cannot be parsed")


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Give every part of the document its own copy.

    YAML anchors make parts shared objects, and links that are inferred for one would show in all.
    """
    raw_schema.update(json.loads(json.dumps(raw_schema)))


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Tell whether a failure counts."""
    if isinstance(failure, RejectedPositiveData):
        return not (_breaks_a_rule(response) or _breaks_a_form(case, response))
    if isinstance(failure, AcceptedNegativeData):
        # In a form wrong types turn into text or vanish: the server does not see what was wrong.
        harmless = _is_form(case) or _is_read_losslessly(failure) or _is_blank(case, failure)
        return not (harmless or _is_lost_in_query(case, failure))
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


def _breaks_a_rule(response: Any) -> bool:
    """422, and every message is one of a rule."""
    if response.status_code != 422:
        return False
    messages = [text for texts in response.json().values() for text in texts]
    return all(any(text.endswith(rule) for rule in RULES) for text in messages)


def _breaks_a_form(case: Any, response: Any) -> bool:
    told = any(rule in response.text for rule in FORM_RULES)
    return response.status_code == 400 and _is_form(case) and told


def _is_form(case: Any) -> bool:
    return "form" in (case.media_type or "")


def _is_blank(case: Any, failure: Failure) -> bool:
    """A blank string counts as absent."""
    place = failure.message.partition("in body - ")[2].partition(":")[0]
    value = case.body
    for step in place.split(" -> "):
        value = value.get(step) if isinstance(value, dict) else value
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) and not item.strip() for item in items)


def _is_lost_in_query(case: Any, failure: Failure) -> bool:
    """A query string has no objects, and a blank value counts as absent."""
    name = failure.message.partition("parameter `")[2].partition("` in query")[0]
    value = (case.query or {}).get(name)
    return bool(name) and (isinstance(value, dict | list) or not str(value or "").strip())


def _is_read_losslessly(failure: Failure) -> bool:
    """JSON is read as forms are: 0 is "0" where text is wanted, "12" is 12, 0 is false."""
    return "in body" in failure.message and "Incorrect type" in failure.message
