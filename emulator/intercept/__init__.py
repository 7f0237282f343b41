"""The emulator in the process that calls it: `mock_astria`."""

from emulator.intercept.handle import Astria
from emulator.intercept.mock import mock_astria

__all__ = ["Astria", "mock_astria"]
