"""Every constraint of every parameter and field: values within are accepted, beyond refused."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.sample_requests import NEEDS_PAID, Request, request_of
from astria_contracts.client.schemathesis_hooks import is_allowed_refusal
from astria_contracts.client.target import Target
from astria_contracts.client.world import World
from astria_contracts.spec.document import Operation, read_document
from astria_contracts.spec.sides import Constraint, sides_of
from astria_contracts.spec.values import beyond, within

DOCUMENT = read_document()
OPERATIONS = [
    pytest.param(operation, id=operation.id)
    for operation in DOCUMENT.operations.values()
    if sides_of(DOCUMENT).of[operation.id]
]
VIDEO = {"video_model": "seedance_480p", "video_prompt": "she turns"}
SHOWN_IN_A_VIDEO = {"video_model": "seedance2_fast_720p", "video_prompt": "she turns"}
AS_IT_IS = ("type", "required", "minimum", "pattern")  # what is sent anyway is within these
# What a refusal may name besides the field itself.
NAMED = {"image_urls": "images", "images": "image_urls", "prompts_attributes": "prompts"}
# What a field needs beside it to be taken: the contract's schemas do not say so.
BESIDE: dict[str, dict[str, Any]] = {
    "image_references": SHOWN_IN_A_VIDEO,
    "image_reference_urls": SHOWN_IN_A_VIDEO,
    "video_duration": {**VIDEO, "video_duration": 5},
    "video_model": {"video_prompt": "she turns"},
}


def cases(
    api: Api, world: World, operation: Operation, *, is_within: bool
) -> Iterator[tuple[Constraint, Any, Request]]:
    """Each constraint with a value, and a request that differs from one that is taken in it."""
    for constraint in sides_of(DOCUMENT).of[operation.id]:
        if constraint.one_sided and not is_within:
            continue
        values = within if is_within else beyond
        for value in values(DOCUMENT, constraint):
            base = request_of(operation, world, constraint.media_type)
            if is_within and base.has(constraint.place) and constraint.keyword in AS_IT_IS:
                yield constraint, "as it is", base
                continue
            *parents, name = constraint.place
            beside = BESIDE.get(name, {})
            if parents[-2:] == ["prompts_attributes", "[]"]:
                beside = {"text": "ohwx woman", **beside}
            for key, item in beside.items():
                base = base.changed((*parents, key), item)
            request = base.changed(constraint.place, value)
            if not request.is_too_costly(api):
                yield constraint, value, request


@pytest.mark.parametrize("operation", OPERATIONS)
def test_value_within_is_taken(operation: Operation, api: Api, world: World) -> None:
    skip_if_costly(operation, api.target)
    wrong = []
    for constraint, value, request in cases(api, world, operation, is_within=True):
        answer = request.send(api)
        if not (answer.ok or is_allowed_refusal(operation.path, answer)):
            wrong.append(f"{constraint.label} {value!r}: {answer.status_code} {answer.text[:120]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_value_beyond_is_refused_by_name(operation: Operation, api: Api, world: World) -> None:
    skip_if_costly(operation, api.target)
    tried = list(cases(api, world, operation, is_within=False))
    wrong, before = [], api.newest()
    for constraint, value, request in tried:
        answer = request.send(api)
        if constraint.keyword == "x-clamp":
            fine, before = answer.ok, api.newest()
        else:
            fine = _is_refused_by_name(answer, constraint)
        if not fine:
            wrong.append(f"{constraint.label} {value!r}: {answer.status_code} {answer.text[:120]}")
    assert not wrong, "\n".join(wrong)
    assert api.newest() == before, "a refused request has made something"


def skip_if_costly(operation: Operation, target: Target) -> None:
    if operation.id in NEEDS_PAID and (reason := target.lacks.get("paid")):
        pytest.skip(reason)


def _is_refused_by_name(answer: Any, constraint: Constraint) -> bool:
    """Whether a refusal says what was wrong, as its place is refused."""
    where, name = constraint.place[0], _field(constraint)
    if where == "path":
        return bool(answer.status_code == 404)
    if where in ("query", "header"):
        return bool(answer.status_code == 400 and name in answer.json()["error"])
    if answer.status_code != 422:
        return False
    if len(constraint.place) == 2 and constraint.keyword in ("required", "type"):
        return True  # without its wrapper a body lacks all that is needed
    fields = {re.split(r"[.\[]", field)[-1] for field in answer.json()}
    return bool(fields & {name, NAMED.get(name)})


def _field(constraint: Constraint) -> str:
    return [step for step in constraint.place if step not in ("[]", "*")][-1].removesuffix("[]")
