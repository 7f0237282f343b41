import time
from collections.abc import Callable

# The one limit of all that tests wait for: only what never comes takes so long, however busy the
# machine is.
PATIENCE_SECONDS = 600.0


def wait_until(is_so: Callable[[], bool]) -> None:
    """Ask again and again until it is so; for what tells nobody when it happens."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it never came to be so"
