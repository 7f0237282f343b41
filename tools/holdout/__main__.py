"""Say which of the held-out bugs the contract suite finds, and what finds each.

    python -m tools.holdout [NAME ...]

Takes about 20 minutes for all of them; ends with the number of those that are not found.
"""

import contextlib
import io
import sys
import time

import pytest

from astria_emulator import Config, create_app
from astria_emulator.server.background import serving
from tools.holdout.planted import PLANTED
from tools.holdout.planting import Planted
from tools.suite_runs import Outcomes, run_properties

LIMITS = {"train_seconds": 30, "prompt_seconds": 10, "max_file_mb": 4, "max_body_mb": 20}
# Generated cases take long, and have found nothing here that the others have not.
ONLY = "not generated"


def run(planted: Planted) -> Outcomes:
    """Run the suite against an emulator with a bug, until a property fails."""
    with pytest.MonkeyPatch.context() as patch:
        app = create_app(Config(clock="2026-01-01T00:00:00Z", **LIMITS))
        planted.plant(patch, app)
        try:
            with serving(app) as port, contextlib.redirect_stdout(io.StringIO()):
                return run_properties(f"http://127.0.0.1:{port}", only=ONLY, first=True)
        finally:
            app.close()


def main() -> None:
    wanted = [one for one in PLANTED if not sys.argv[1:] or one.name in sys.argv[1:]]
    missed = 0
    for planted in wanted:
        begin = time.monotonic()
        red = run(planted).red
        missed += not red
        took = time.monotonic() - begin
        print(f"{planted.name:<50} {took:5.1f} s  {', '.join(red) or 'NOT FOUND'}", flush=True)
    print(f"{len(wanted) - missed} of {len(wanted)} found")
    sys.exit(missed)


if __name__ == "__main__":
    main()
