"""Runs properties of the contract suite against a server, in this process."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import astria_contracts

PACKAGE = Path(astria_contracts.__file__).parent
PROPERTIES = PACKAGE / "properties"
PLUGINS = ("hypothesispytest", "schemathesis", "astria_contracts.plugin")
# A callback that is missing, and an object that never ends, are not waited for longer than this.
PATIENCE_SECONDS = 1
ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


class Outcomes:
    """Notes the names of properties that fail, whatever their parameters, as file::function."""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.red: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("[")[0].rpartition("/")[2]
        self.ran.add(name)
        if report.failed:
            self.red.add(name)


def run_properties(
    url: str, *names: str, only: str = "", first: bool = False, flags: Sequence[str] = ()
) -> Outcomes:
    """Run properties, named as file::function or file; without an address they start the emulator.

    `only` is pytest's -k, and with `first` the first failure is the last.
    """
    outcomes = Outcomes()
    flags = [*flags, "-c", str(PACKAGE / "pytest.ini"), "--rootdir", str(PROPERTIES)]
    flags += ["-q", "--tb=no", "-rN"]
    flags += ["--disable-plugin-autoload", *(f"-p{name}" for name in PLUGINS)]
    # It collects garbage five times at the end of each run, of all that this process has.
    flags += ["-pno:unraisableexception"]
    flags += ["--astria-target", url] if url else []
    flags += ["--astria-second-key", "sd_contracts_second"]
    flags += [f"--astria-patience={PATIENCE_SECONDS}", "--astria-no-shrink"]
    flags += ["-k", only] if only else []
    flags += ["-x"] if first else []
    nodes = [str(PROPERTIES / name) for name in names] or [str(PROPERTIES)]
    code = pytest.main([*flags, *nodes], plugins=[outcomes])
    assert code in ENDED, f"the suite ended with {code}"
    return outcomes
