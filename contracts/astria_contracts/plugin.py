"""The pytest plug-in: `pytest --pyargs astria_contracts --astria-target URL`.

It is loaded by every pytest of an environment that has it, so it loads the rest only for the
suite's own tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from astria_contracts.report.recorder import Recorder

OPTIONS = {
    "target": "URL of the server to test; by default the emulator is started",
    "key": "API key of the first account",
    "second_key": "API key of another account",
    "branch": "branch of the tunes that are trained; fast costs nothing",
    "budget": "quick or full",
    "seed": "seed of the generated cases; by default they are always the same",
    "allow_paid": "also do what costs money at a public server",
    "listener_url": "address at which the target reaches this machine, for callbacks",
    "picture_url": "a picture that the target can fetch, where it does",
    "control_token": "opens /_emulator/ of an emulator that is not on loopback",
    "no_shrink": "show the first case that fails, not the smallest",
    "has": "a capability of the target, whatever it says; may be repeated",
    "lacks": "one that it does not have; may be repeated",
    "patience": "seconds that a tune or a prompt may take",
    "rate": "requests a second to a public server",
}
PROPERTIES = Path(__file__).parent / "properties"
RECORDER = pytest.StashKey["Recorder"]()
COMPARED = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("astria-contracts", "the contract of Astria's API")
    for name, help in OPTIONS.items():
        flag = f"--astria-{name.replace('_', '-')}"
        if name in ("allow_paid", "no_shrink"):
            group.addoption(flag, action="store_true", default=None, help=help)
        elif name in ("has", "lacks"):
            group.addoption(flag, action="append", default=None, help=help)
        else:
            choices = ("quick", "full") if name == "budget" else None
            kind: Any = {"seed": int, "patience": float, "rate": float}.get(name, str)
            group.addoption(flag, type=kind, default=None, choices=choices, help=help)
    group.addoption("--astria-report", default="", help="folder for report.json and report.html")
    group.addoption("--astria-compare", default="", help="an earlier report.json to compare with")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): skip where the target lacks one")
    if compared := config.getoption("--astria-compare"):
        from astria_contracts.report.compare import NoReport, read_report

        try:
            config.stash[COMPARED] = read_report(compared)
        except NoReport as error:  # reported now, and not when the run is over
            raise pytest.UsageError(str(error)) from None


def is_ours(path: Path) -> bool:
    """Whether a test or a module is the suite's."""
    return path.parent == PROPERTIES


def recorder_of(config: pytest.Config) -> Recorder:
    """The recorder of this run, made when the first test of the suite is collected."""
    if RECORDER not in config.stash:
        from hypothesis import core

        from astria_contracts.options import CURRENT, Options
        from astria_contracts.report.recorder import Recorder

        given: dict[str, Any] = {
            one.name: tuple(value) if isinstance(value, list) else value
            for one in fields(Options)
            if (value := config.getoption(f"--astria-{one.name.replace('_', '-')}")) is not None
        }
        CURRENT.set(Options(**given))
        if CURRENT.get().seed is not None:  # as hypothesis' own flag does
            core.global_force_seed = CURRENT.get().seed  # type: ignore[assignment]
        config.stash[RECORDER] = Recorder(CURRENT.get(), config.stash.get(COMPARED, None))
    return config.stash[RECORDER]


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    """Read the options before the suite's modules are imported."""
    if is_ours(module_path):
        recorder_of(parent.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Iterator[pytest.CollectReport]:
    report: pytest.CollectReport = yield  # type: ignore[misc,assignment]
    if report.failed and is_ours(collector.path) and RECORDER in collector.config.stash:
        collector.config.stash[RECORDER].fail(f"{collector.name}: {report.longreprtext}")
    return report  # type: ignore[return-value]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Generated cases come first, while lists are short."""
    items.sort(key=lambda item: is_ours(item.path) and item.path.name != "test_generated.py")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not is_ours(item.path):
        return
    target = recorder_of(item.config).target
    target.start_test()
    for marker in item.iter_markers("needs"):
        for capability in marker.args:
            if reason := target.lacks.get(capability):
                pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    report: pytest.TestReport = yield  # type: ignore[misc,assignment]
    if is_ours(item.path) and RECORDER in item.config.stash:
        error = call.excinfo.value if call.excinfo else None
        item.config.stash[RECORDER].record(item, report, error)
    return report  # type: ignore[return-value]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if recorder := session.config.stash.get(RECORDER, None):
        recorder.close(session.config.getoption("--astria-report"), status=session.exitstatus)
        if recorder.report.get("verdict") == "untested" and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if recorder := config.stash.get(RECORDER, None):
        from astria_contracts.report.terminal import show

        show(terminalreporter, recorder.report)
