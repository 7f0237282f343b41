"""Cases that schemathesis generates for every operation, in every encoding, and in sequences."""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import TestPhase

from astria_contracts.client import checks
from astria_contracts.client.api import IN_CURL
from astria_contracts.client.sample_requests import request_of
from astria_contracts.client.target import Exchange, Target
from astria_contracts.client.world import World
from astria_contracts.options import CURRENT
from astria_contracts.spec.document import contract_path, read_document

OPTIONS = CURRENT.get()
# Of an operation's cases at the edges of constraints, which test_constraints tries as well, quick
# takes so many and then one of so many - there are 8,000 - and none of those operations that take
# the fields of another one.
QUICK_FIRST, QUICK_EACH = 30, 10
LIKE_ANOTHER = ["create_prompt", "duplicate_prompt", "run_pack", "update_tune_prompt"]
IS_QUICK = OPTIONS.budget == "quick"
reduced = {"include-operation-id": LIKE_ANOTHER, "phases": {"coverage": {"enabled": False}}}
CONFIG = SchemathesisConfig.from_dict(
    {
        "hooks": "astria_contracts.client.schemathesis_hooks",
        "cache": {"enabled": False},
        "auth": {"openapi": {"bearer": {"bearer": OPTIONS.key}}},
        "generation": {"allow-x00": False},  # refused, which a schema cannot say
        "operations": [reduced] if IS_QUICK else [],
    }
)
Case = schemathesis.Case[Any]
SCHEMA = schemathesis.openapi.from_path(contract_path(), config=CONFIG)
DOCUMENT = read_document()
OPERATIONS = {(one.method, one.path): one for one in DOCUMENT.operations.values()}
HIDDEN_KEY = "'Authorization: [Filtered]'"
SHOWN_KEY = f'"Authorization: Bearer {IN_CURL["first"]}"'
pytestmark = pytest.mark.needs("paid")


def check_answer(target: Target, case: Case, response: Any) -> None:
    """Schemathesis' checks and ours.

    Raises what they find.
    """
    operation = OPERATIONS.get((case.method.upper(), case.operation.path))
    status, content = response.status_code, response.content
    headers = {name.title(): values[0] for name, values in response.headers.items()}
    try:
        if operation:
            target.note_created(OPTIONS.key, operation, status, content)
        case.validate_response(response)
        if operation:
            target.operations.add(operation.id)
            target.coverage.record(
                operation,
                status,
                kind=headers.get("Content-Type", "").partition(";")[0].strip(),
                media_type=case.media_type,
                path=dict(case.path_parameters or {}),
                query=dict(case.query or {}),
                headers=dict(case.headers or {}),
                body=case.body,
            )
            assert not list(checks.problems(DOCUMENT, operation, status, headers, content))
    except (Exception, BaseExceptionGroup):  # what schemathesis raises is no Exception
        curl = case.as_curl_command().replace(HIDDEN_KEY, SHOWN_KEY)
        text = content[:500].decode(errors="replace")
        target.exchanges.append(Exchange(case.operation.label, curl, status, text))
        raise


def names_an_object(case: Case) -> bool:
    """Whether the parameters in a case's path are as they should be."""
    path = case.meta.components.get(ParameterLocation.PATH) if case.meta else None
    return path is not None and path.mode == GenerationMode.POSITIVE


if IS_QUICK:
    seen: Counter[str] = Counter()

    @SCHEMA.hook
    def filter_case(context: Any, case: Case) -> bool:
        label = case.operation.label
        if case.meta is None or case.meta.phase.name != TestPhase.COVERAGE:
            return True
        seen[label] += 1
        return seen[label] <= QUICK_FIRST or seen[label] % QUICK_EACH == 0


@SCHEMA.parametrize()
@OPTIONS.settings(quick=4, full=60)
def test_generated_case_is_answered_as_the_contract_says(
    case: Case, target: Target, world: World
) -> None:
    operation = OPERATIONS.get((case.method.upper(), case.operation.path))
    if operation and names_an_object(case):
        # Generated ids name nothing, or what is not this run's.
        case.path_parameters.update(request_of(operation, world).path)
    target.pace()
    check_answer(target, case, case.call(base_url=target.url))


def test_generated_sequence_is_answered_as_the_contract_says(target: Target) -> None:
    # What lists show need not be of this run, and would be changed and deleted.
    lists = [one.id for one in DOCUMENT.operations.values() if one.id.startswith("list_")]

    class Sequences(SCHEMA.exclude(operation_id=lists).as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Case) -> None:
            target.pace()

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"base_url": target.url}

        def validate_response(self, response: Any, case: Case, **_: Any) -> None:
            check_answer(target, case, response)

    settings = OPTIONS.settings(quick=8, full=100, stateful_step_count=8)
    run_state_machine_as_test(Sequences, settings=settings)
