"""Fixtures of the suite. All last for the whole run: tests do not disturb each other."""

from collections.abc import Iterator

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.listener import Listener, listening
from astria_contracts.client.target import Target
from astria_contracts.client.world import World
from astria_contracts.plugin import recorder_of


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The server that is tested."""
    return recorder_of(request.config).target


@pytest.fixture(scope="session")
def api(target: Target) -> Api:
    """A client of the first account."""
    return Api(target, target.keys["first"])


@pytest.fixture(scope="session")
def other(target: Target) -> Api:
    """A client of the second account; for tests that need "second key"."""
    return Api(target, target.keys["second"])


@pytest.fixture(scope="session")
def world(api: Api) -> World:
    """Objects that tests only read, made when they are first asked for."""
    return World(api)


@pytest.fixture(scope="session")
def listener(target: Target) -> Iterator[Listener]:
    """Receives callbacks; for tests that need "callbacks"."""
    asked = target.options
    with listening(asked.listener_url, patience=asked.patience) as found:
        yield found
