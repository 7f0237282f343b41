"""The emulator in the process that calls it: `mock_astria`."""

from astria_emulator.testing.intercept.handle import Astria
from astria_emulator.testing.intercept.mock import mock_astria

__all__ = ["Astria", "mock_astria"]
