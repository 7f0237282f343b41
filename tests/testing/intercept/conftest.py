"""Each test here runs with each client that it asks for."""

import pytest
from flask import Flask, request

from tests.testing.intercept.clients import CLIENTS, Client


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    return request.param


@pytest.fixture
def app() -> Flask:
    """An application that notes what calls back."""
    made = Flask("app")
    made.got = []

    @made.post("/hook")
    def hook() -> tuple[str, int]:
        made.got.append((request.query_string.decode(), request.json))
        return "", 204

    @made.post("/broken")
    def broken() -> str:
        raise ValueError("broken")

    return made
