"""The pytest fixture `astria`. Nothing heavy is imported until a test uses it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from astria_emulator.testing.intercept import Astria

MARKER = "astria(**settings): how the fixture `astria` is set up, as mock_astria(**settings)"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def astria(request: pytest.FixtureRequest) -> "Iterator[Astria]":
    """The emulator, with a new state: calls to Astria reach it, and nothing else does.

    Markers of the module, the class and the test count together.
    """
    from astria_emulator.testing.intercept import mock_astria

    settings: dict[str, Any] = {}
    for marker in request.node.iter_markers("astria"):  # the closest first
        settings = {**marker.kwargs, **settings}
    with mock_astria(**settings) as handle:
        yield handle
