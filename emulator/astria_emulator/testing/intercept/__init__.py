"""`mock_astria`: answer calls to Astria within the process that makes them."""

from astria_emulator.testing.intercept.handle import Astria
from astria_emulator.testing.intercept.mock import mock_astria

__all__ = ["Astria", "mock_astria"]
