"""Each test here runs with each client that it asks for."""

import pytest

from tests.testing.intercept.clients import CLIENTS, Client


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    return request.param
