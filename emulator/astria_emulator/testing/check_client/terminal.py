"""Write the report as lines for a terminal."""

import textwrap
from collections.abc import Iterator

from astria_emulator.testing.check_client.grading import ADVICE, HOW, Verdict
from astria_emulator.testing.check_client.play import Callback, Finding, Request
from astria_emulator.testing.check_client.report import Check, abridged, cut, outcome

FIRST = 22  # columns of a scenario's name
SHOWN = 4  # requests and callbacks of a finding
OUTPUT = 12  # lines of what a command printed


def head() -> str:
    """Return the table's head."""
    return f"{'scenario':<{FIRST}}{'verdict':<9}{'seconds':>8}  findings"


def line(verdict: Verdict) -> str:
    """Return a scenario's line of the table."""
    names = ", ".join(dict.fromkeys(finding.name for finding in verdict.findings))
    note = "nothing of it struck" if verdict.word == "unmet" else names
    play = verdict.play
    return f"{play.name:<{FIRST}}{verdict.word:<9}{play.seconds:>8.1f}  {note}".rstrip()


def closing(check: Check, *, width: int = 100) -> Iterator[str]:
    """Yield the lines below the table: each kind of finding once with an example, and the grade."""
    kinds: dict[str, list[Finding]] = {}
    for verdict in check.verdicts:
        for finding in verdict.findings:
            kinds.setdefault(finding.name, []).append(finding)
    for name, findings in kinds.items():
        first = findings[0]
        names = ", ".join(dict.fromkeys(finding.scenario for finding in findings))
        yield ""
        yield from folded(f"{name}: ", names, width)
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
    """Yield the last lines that a command printed."""
    for text in verdict.play.output.splitlines()[-OUTPUT:]:
        yield f"  | {plain(text)}"


def _summary(check: Check) -> str:
    counts = check.counts
    graded = counts["passed"] + counts["failed"]
    share = f"{counts['failed'] or 'none'} of {graded} scenarios"
    unmet = f"; {counts['unmet']} struck nothing, and do not count" if counts["unmet"] else ""
    return f"{share} with findings{unmet}."


def _events(finding: Finding) -> list[str]:
    """Return a finding's requests and callbacks in the order of sending, a line each."""
    lines = [(request.start, request_line(request)) for request in finding.requests]
    lines += [(callback.sent, callback_line(callback)) for callback in finding.callbacks]
    return [text for _, text in sorted(lines)]


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
    """Wrap a text with a hanging indent; names and addresses stay whole."""
    columns = max(width - len(begin), FIRST)
    lines = textwrap.wrap(plain(text), columns, break_long_words=False, break_on_hyphens=False)
    return [f"{begin if not at else ' ' * len(begin)}{line}" for at, line in enumerate(lines)]


def plain(text: str) -> str:
    """Return a text with control characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
