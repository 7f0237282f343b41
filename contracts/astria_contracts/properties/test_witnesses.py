"""What Astria's documentation, and clients' records, show is taken and fits the contract.

The witnesses are transcribed as they are, and check the contract from outside: whatever does not
agree stands in a table, `deviations.py`, with a reason, and is to be taken out when it agrees.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from astria_contracts.client import checks
from astria_contracts.client.api import Api
from astria_contracts.client.world import World
from astria_contracts.spec.attributes import of
from astria_contracts.spec.document import JSON, Operation, Schema, read_document
from astria_contracts.spec.encoding import NOTHING, File
from astria_contracts.spec.reading import Reader, is_blank
from astria_contracts.witnesses.deviations import DEVIATIONS, NOT_KEPT, REFUSED
from astria_contracts.witnesses.witness import (
    FilledRequest,
    Slots,
    Witness,
    WitnessedBody,
    WitnessedRequest,
    any_slot,
    label,
    read_witnesses,
)

DOCUMENT = read_document()
READER = Reader(DOCUMENT.raw)
WITNESSES = read_witnesses()
REQUESTS = [one for one in WITNESSES if isinstance(one, WitnessedRequest)]
BODIES = [one for one in WITNESSES if isinstance(one, WitnessedBody)]


# -- requests --------------------------------------------------------------------------------------
def case(witness: Witness) -> Any:
    return pytest.param(witness, id=label(witness))


def operation_of(witness: WitnessedRequest, path: str) -> Operation:
    found = DOCUMENT.find(witness.method, path)
    assert found, f"the contract has no {witness.method} {path}"
    return found[0]


TAKEN = [one for one in REQUESTS if one.status < 400 and label(one) not in REFUSED]


@pytest.mark.parametrize("witness", [case(one) for one in TAKEN])
def test_request_fits_the_contract(witness: WitnessedRequest) -> None:
    request = witness.filled(any_slot)
    operation = operation_of(witness, request.path)
    if request.body is NOTHING:
        assert not operation.body_required
        return
    schema = operation.bodies[witness.media_type]
    read = READER.read(schema, plain(request.attributes(operation)))
    assert DOCUMENT.problems(schema, read) == []


@pytest.mark.parametrize("witness", [case(one) for one in REQUESTS if label(one) not in REFUSED])
def test_request_is_answered_as_its_source_says(
    api: Api, slots: Slots, witness: WitnessedRequest
) -> None:
    request = witness.filled(slots)
    answer = request.send(api)
    assert (answer.status_code, answer.text[:300]) == (witness.status, answer.text[:300])
    if witness.answer is not NOTHING:
        is_text = isinstance(witness.answer, str)
        assert (answer.text.strip() if is_text else answer.json()) == witness.answer
    elif witness.status == 201 and answer.content:
        changed, _ = NOT_KEPT.get(label(witness), (set(), ""))
        assert not_kept(operation_of(witness, request.path), request, answer.json()) == changed
        nested = request.body["tune"].get("prompts_attributes") if "tune" in request.body else None
        if nested:
            shown = api.page(f"/tunes/{answer.json()['id']}/prompts")[::-1]
            texts = [(one["text"], sent["text"]) for one, sent in zip(shown, nested, strict=True)]
            assert all(text.endswith(sent) for text, sent in texts), texts


@pytest.mark.parametrize("witness", [case(one) for one in REQUESTS if label(one) in REFUSED])
def test_request_that_cannot_be_taken_is_refused(
    api: Api, slots: Slots, witness: WitnessedRequest
) -> None:
    status, reason = REFUSED[label(witness)]
    request = witness.filled(slots)
    if DOCUMENT.find(witness.method, request.path):
        assert request.send(api).status_code == status, reason
        return
    if why := api.target.lacks.get("paid"):
        pytest.skip(why)
    headers = {"Authorization": f"Bearer {api.key}"}
    answer = api.target.send(witness.method, request.path, json=request.body, headers=headers)
    assert answer.status_code == status, reason


@pytest.fixture(scope="session")
def slots(api: Api, world: World) -> Slots:
    return Slots(api, world)


def plain(value: Any) -> Any:
    """What was sent, as the contract's schemas validate it: files by name."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, File):
        return value.name
    return value


def not_kept(operation: Operation, request: FilledRequest, made: Any) -> set[str]:
    """Names of what was sent and is shown otherwise."""
    body = plain(request.attributes(operation))
    sent = body[operation.wrapper] if operation.wrapper else body
    fields = DOCUMENT.flat(operation.bodies[JSON])["properties"].get(operation.wrapper, {})
    schemas = DOCUMENT.flat(fields).get("properties", {})
    names = [name for name in sent if name in made and name in schemas and not is_blank(sent[name])]
    shown = of(made, names)
    changed = {name for name in names if READER.read(schemas[name], sent[name]) != shown[name]}
    lists = {"orig_images": ("images", "image_urls")}
    lists["image_references"] = ("image_references", "image_reference_urls")
    for name, fields in lists.items():
        if name in made and len(made[name]) != sum(len(sent.get(one, ())) for one in fields):
            changed.add(name)
    return changed


# -- answers and callbacks -------------------------------------------------------------------------
@pytest.mark.parametrize("witness", [case(one) for one in BODIES])
def test_body_fits_the_contract(witness: WitnessedBody) -> None:
    found = set(findings(witness))
    known = {text for of_it, texts, _ in DEVIATIONS if of_it == label(witness) for text in texts}
    assert (sorted(found - known), sorted(known - found)) == ([], []), "new, and not any more"


def findings(witness: WitnessedBody) -> Iterator[str]:
    """How a body differs from what the contract says, unknown fields included."""
    operation = DOCUMENT.operations[witness.operation]
    if witness.callback:
        schemas = {JSON: operation.callbacks[witness.callback]}
    elif witness.status in operation.responses:
        schemas = dict(operation.responses[witness.status])
    else:
        yield f"status {witness.status} is unknown"
        return
    if witness.body is NOTHING:
        yield from ("the body is missing" for _ in schemas)
        return
    if witness.media_type not in schemas:
        yield f"{witness.media_type} is not among {sorted(schemas)}"
        return
    schema = schemas[witness.media_type]
    differences = [
        [*wrong_with(witness, one), *unknown_in(one, witness.body)]
        for one in DOCUMENT.flat(schema).get("anyOf", [schema])
    ]
    yield from min(differences, key=len)


def wrong_with(witness: WitnessedBody, schema: Schema) -> Iterator[str]:
    """What the suite would say if the body were an answer of the server that is tested."""
    if witness.media_type != JSON:
        yield from DOCUMENT.problems(schema, witness.body)
        return
    text = json.dumps(witness.body)
    for problem in checks.json_problems(DOCUMENT, schema, witness.status, text):
        place, _, message = problem.partition(": ")
        if missing := re.fullmatch(r'"(\w+)" is a required property', message):
            yield f"{place}.{missing[1]} is missing".removeprefix(".")
        else:
            yield problem


def unknown_in(schema: Schema, value: Any, place: str = "") -> Iterator[str]:
    """Fields of a value that its schema does not know."""
    schema = DOCUMENT.flat(schema)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_in(schema.get("items", {}), item, f"{place}{index}.")
    elif isinstance(value, dict):
        others = schema.get("additionalProperties")
        for name, item in value.items():
            known = schema.get("properties", {}).get(name, others)
            if known is None:
                yield f"{place}{name} is unknown"
            else:
                yield from unknown_in(known, item, f"{place}{name}.")


# -- the tables ------------------------------------------------------------------------------------
def test_every_witness_has_a_name_of_its_own() -> None:
    for kind in (REQUESTS, BODIES):
        assert [name for name, count in Counter(map(label, kind)).items() if count > 1] == []


def test_every_row_of_a_table_is_of_a_witness() -> None:
    assert {*REFUSED, *NOT_KEPT} <= set(map(label, REQUESTS))
    assert {of_it for of_it, _, _ in DEVIATIONS} <= set(map(label, BODIES))
