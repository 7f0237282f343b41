"""Injected faults are answered with the service's messages; the work is done, or it is not."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from astria_contracts.client.api import Api
from astria_contracts.client.sample_requests import request_of
from astria_contracts.client.world import World
from astria_contracts.spec.document import Operation, read_document

FAULTS = {429: "rate-limited", 500: "server-error", 504: "gateway-timeout"}
PAIRS = [
    (operation, status)
    for operation in read_document().operations.values()
    for status in FAULTS
    if status in operation.responses
]

pytestmark = pytest.mark.needs("faults")


@contextmanager
def fault(api: Api, name: str, operation: str, **more: Any) -> Iterator[None]:
    """Let a fault strike the next request of an operation, and nobody else's."""
    rule: Mapping[str, Any] = {"fault": name, "operation": operation, "times": 1, **more}
    added = api.target.control("POST", "faults", json=rule)
    assert added.status_code == 201, added.text
    try:
        yield
    finally:
        api.target.control("DELETE", f"faults/{added.json()['id']}")


def status_and_body(answer: requests.Response) -> tuple[int, Any]:
    return answer.status_code, json.loads(answer.text)


@pytest.mark.parametrize(
    ("operation", "status"), PAIRS, ids=[f"{operation.id} {status}" for operation, status in PAIRS]
)
def test_failure_is_said_in_the_services_words_and_changes_nothing(
    api: Api, world: World, operation: Operation, status: int
) -> None:
    request = request_of(operation, world)
    before = api.newest()
    with fault(api, FAULTS[status], operation.id, work_done=False):
        answer = request.send(api)  # which looks at schema and dialect
    assert answer.status_code == status
    if status == 429:
        assert answer.headers["Retry-After"].isdecimal()
    assert api.newest() == before


def test_504_may_have_done_the_work(api: Api, world: World) -> None:
    request = request_of(read_document().operations["create_tune"], world)
    before = api.newest()
    with fault(api, "gateway-timeout", "create_tune", work_done=True):
        answer = request.send(api)
    assert answer.status_code == 504
    assert api.newest() != before
