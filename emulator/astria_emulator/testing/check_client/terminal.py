"""The report as lines for a terminal."""

import textwrap
from collections.abc import Iterator

from astria_emulator.testing.check_client.grading import ADVICE, HOW, Verdict
from astria_emulator.testing.check_client.play import Callback, Finding, Request
from astria_emulator.testing.check_client.report import Check, abridged, cut, outcome

FIRST = 22  # columns of a scenario's name
SHOWN = 4  # requests and callbacks of a finding
OUTPUT = 12  # lines of what a command printed


def head() -> str:
    return f"{'scenario':<{FIRST}}{'verdict':<9}{'seconds':>8}  findings"


def line(verdict: Verdict) -> str:
    """One scenario in the table."""
    names = ", ".join(dict.fromkeys(found.name for found in verdict.findings))
    note = "nothing of it struck" if verdict.word == "unmet" else names
    play = verdict.play
    return f"{play.name:<{FIRST}}{verdict.word:<9}{play.seconds:>8.1f}  {note}".rstrip()


def closing(check: Check, *, width: int = 100) -> Iterator[str]:
    """What stands below the table: each kind of finding once, with the best of what shows it."""
    kinds: dict[str, list[Finding]] = {}
    for verdict in check.verdicts:
        for found in verdict.findings:
            kinds.setdefault(found.name, []).append(found)
    for name, of in kinds.items():
        first = of[0]
        yield ""
        yield from folded(f"{name}: ", ", ".join(dict.fromkeys(one.scenario for one in of)), width)
        yield from folded("  ", ADVICE[name], width)
        yield from folded("  ", f"In {first.scenario}: {first.says}", width)
        events = _events(first)
        for event in events[:SHOWN]:
            yield f"    {cut(plain(event), width - 4)}"
        if len(events) > SHOWN:
            yield f"    and {len(events) - SHOWN} more"
    yield ""
    if check.error:
        yield from folded("NOT GRADED  ", check.error, width)
        return
    yield from folded(f"GRADE {check.grade}  ", _summary(check), width)
    yield from folded(" " * len("GRADE A  "), HOW, width)


def output_of(verdict: Verdict) -> Iterator[str]:
    """The last lines that a command printed."""
    for text in verdict.play.output.splitlines()[-OUTPUT:]:
        yield f"  | {plain(text)}"


def _summary(check: Check) -> str:
    counts = check.counts
    graded = counts["passed"] + counts["failed"]
    share = f"{counts['failed'] or 'none'} of {graded} scenarios"
    unmet = f"; {counts['unmet']} struck nothing, and do not count" if counts["unmet"] else ""
    return f"{share} with findings{unmet}."


def _events(found: Finding) -> list[str]:
    """Requests and callbacks in the order in which they happened, a line each."""
    told = [(one.start, request_line(one)) for one in found.requests]
    told += [(one.sent, callback_line(one)) for one in found.callbacks]
    return [text for _, text in sorted(told)]


def request_line(request: Request) -> str:
    status = request.status or "reset"
    faults = f" [{', '.join(request.faults)}]" if request.faults else ""
    body = f" {abridged(request.body)}" if request.body else ""
    return f"{request.start:>7.3f} s  {request.method} {request.path} -> {status}{faults}{body}"


def callback_line(callback: Callback) -> str:
    about = f"{callback.sent:>7.3f} s  callback of {callback.object} {callback.object_id}"
    fault = f" [{callback.fault}]" if callback.fault else ""
    return f"{about} -> {outcome(callback)}{fault}"


def folded(begin: str, text: str, width: int) -> list[str]:
    """A text with hanging lines; names and addresses stay whole."""
    room = max(width - len(begin), FIRST)
    lines = textwrap.wrap(plain(text), room, break_long_words=False, break_on_hyphens=False)
    return [f"{begin if not at else ' ' * len(begin)}{one}" for at, one in enumerate(lines)]


def plain(text: str) -> str:
    """A text without characters that a terminal would obey."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
