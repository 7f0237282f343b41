"""The command `check-client`: run a client through scenarios, and grade it."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from astria_emulator.config import PREFIX, Config
from astria_emulator.errors import SetupError
from astria_emulator.faults.reading import Scenario, scenarios, unknown_scenario
from astria_emulator.server.command_line import set_up_logging
from astria_emulator.testing.check_client import report, terminal
from astria_emulator.testing.check_client.grading import LEAST_POLL_SECONDS, Verdict, judge
from astria_emulator.testing.check_client.play import Play
from astria_emulator.testing.check_client.report import Check
from astria_emulator.testing.check_client.stage import Stage

GOOD_DAY = "good-day"
NOT_GRADED = 2
INTERRUPTED = 130
POLL_SECONDS = 0.5
COLOURS = {"passed": "green", "failed": "red", "unmet": "yellow"}


@click.command("check-client", context_settings={"allow_interspersed_args": False})
@click.option(
    "--scenario", "names", multiple=True, metavar="NAME",
    help="Play this one; may be given several times. By default all are played.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True,
    help="Seconds after which the command is ended, in each scenario. "
    "Let your client give up sooner.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1, 16), default=1, show_default=True,
    help="Scenarios played at a time; the command must bear to run beside itself.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="As for serve.")
@click.option(
    "--train-seconds", type=click.FloatRange(0), default=0.3, show_default=True,
    help="How long training seems to take.",
)  # fmt: skip
@click.option(
    "--prompt-seconds", type=click.FloatRange(0), default=0.2, show_default=True,
    help="How long a prompt seems to take.",
)  # fmt: skip
@click.option(
    "--least-poll-seconds", type=click.FloatRange(0), default=LEAST_POLL_SECONDS,
    show_default=True,
    help="Reads of an unfinished object that follow each other faster, on the average, are a "
    "finding.",
)  # fmt: skip
@click.option("--keys", help=f"API keys, as for serve; the first one is the command's. "
              f"[{PREFIX}KEYS]", envvar=f"{PREFIX}KEYS")  # fmt: skip
@click.option("--idempotency", is_flag=True, help="Repeat-safe creation, as for serve.")
@click.option("--assume", multiple=True, metavar="NAME=VALUE", help="As for serve.")
@click.option("--callback-hosts", multiple=True, metavar="HOST", help="As for serve.")
@click.option(
    "--report", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Write report.html and report.json there.",
)  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def check_client(
    command: tuple[str, ...], names: tuple[str, ...], timeout: float, jobs: int,
    least_poll_seconds: float, folder: Path | None, **flags: Any,
) -> None:  # fmt: skip
    """Run COMMAND through bad days, and grade how it copes.

    COMMAND is a test of your client, or the client itself. It is run once for each scenario (see
    `astria-emulator scenarios`), against a fresh server that it finds by ASTRIA_BASE_URL and
    ASTRIA_API_KEY in its environment, and is to end with 0 where it got what it wanted. The good
    day is played first: what fails there cannot be graded.

    Ends with 0 when nothing was found, with 1 when something was, and with 2 when the client could
    not be graded.

    \b
    astria-emulator check-client -- pytest tests/test_astria.py
    astria-emulator check-client --scenario bad-day --report report -- npm test
    """
    set_up_logging("ERROR")
    stage = Stage(command, config_of(flags), timeout)
    numbers = ("seed", "train_seconds", "prompt_seconds")
    settings = {name: flags[name] for name in numbers} | {"timeout": timeout}
    settings["least_poll_seconds"] = least_poll_seconds
    begun, at = time.monotonic(), datetime.now(UTC)
    verdicts, error = [], ""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        click.echo(terminal.head())
        for verdict in verdicts_of(stage, choose_scenarios(names), jobs, least_poll_seconds):
            verdicts.append(verdict)
            click.echo(coloured(terminal.line(verdict), verdict.word))
    except NotGraded as reason:
        verdicts += reason.verdicts
        error = str(reason)
    except KeyboardInterrupt:
        stage.close()
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)
    check = Check(
        command=command,
        at=at,
        seconds=time.monotonic() - begun,
        settings=settings,
        verdicts=verdicts,
        error=error,
    )
    report_check(check, folder)
    sys.exit(NOT_GRADED if error else int(check.counts["failed"] > 0))


class NotGraded(Exception):
    """The client cannot be graded. `verdicts`: of the scenarios that were played before."""

    def __init__(self, reason: str, *verdicts: Verdict):
        super().__init__(reason)
        self.verdicts = verdicts


def config_of(flags: Mapping[str, Any]) -> Config:
    """Return the settings of the servers; environment variables for `serve` do not count here.

    Raises SetupError.
    """
    keys = tuple(key.strip() for key in (flags["keys"] or "").split(",") if key.strip())
    return Config(**{**flags, "keys": keys, "port": 0, "log_level": "error"})


def choose_scenarios(names: Sequence[str]) -> list[Scenario]:
    """Return the good day first, then the named scenarios, or all.

    Raises SetupError.
    """
    known = scenarios()
    if unknown := [unknown_scenario(name) for name in names if name not in known]:
        raise SetupError("--scenario", unknown)
    return [known[GOOD_DAY]] + [
        scenario
        for name, scenario in known.items()
        if name != GOOD_DAY and name in (names or known)
    ]


def verdicts_of(
    stage: Stage, played: Sequence[Scenario], jobs: int, least_poll_seconds: float
) -> Iterator[Verdict]:
    """Play scenarios, `jobs` at a time, and yield their verdicts in order.

    Raises NotGraded.
    """
    first, *others = played
    try:
        good = stage.play(first)
    except OSError as error:
        raise NotGraded(f"{stage.command[0]} cannot be run: {error.strerror}") from None
    verdict = judge(good, None, least_poll_seconds=least_poll_seconds)
    if reason := not_gradable(good):
        raise NotGraded(reason, verdict)
    yield verdict
    pool = ThreadPoolExecutor(jobs)
    try:
        for future in [pool.submit(stage.play, scenario) for scenario in others]:
            while not future.done():
                wait([future], POLL_SECONDS)  # a longer wait may not notice Ctrl-C
            yield judge(future.result(), good, least_poll_seconds=least_poll_seconds)
    finally:
        stage.close()
        pool.shutdown(cancel_futures=True)


def not_gradable(good: Play) -> str:
    """Return why a client cannot be graded after such a good day; empty if it can."""
    if good.exit is None:
        return f"the command did not end within {good.seconds:.2g} s on the good day"
    if good.exit != 0:
        return f"the command failed with {good.exit} on the good day"
    if not good.requests:
        return "the command sent no request to ASTRIA_BASE_URL"
    return ""


def report_check(check: Check, folder: Path | None) -> None:
    """Print the rest of the report, and write its files."""
    if check.error:
        for verdict in check.verdicts:
            click.echo(coloured(terminal.line(verdict), verdict.word))
            for text in terminal.output_of(verdict):
                click.echo(text)
    for text in terminal.closing(check, width=shutil.get_terminal_size().columns):
        colour = {"GRADE": "red" if check.counts["failed"] else "green", "NOT": "yellow"}
        begin = text.partition(" ")[0]
        click.echo(click.style(text, fg=colour[begin], bold=True) if begin in colour else text)
    if folder:
        try:
            report.write(check, folder)
        except OSError as error:
            raise click.ClickException(f"cannot write to {folder}: {error.strerror}") from None
        click.echo(f"\n{folder / 'report.html'}")


def coloured(text: str, word: str) -> str:
    """Return a line of the table with its verdict in colour."""
    return text.replace(word, click.style(word, fg=COLOURS[word]), 1)
