"""The report: `report.json`, and `report.html`, which needs nothing else.

`report.json` has these keys:

    form        version of this format; another one means other keys
    grade       a letter, or null where the client could not be graded; `how` grades are given
    error       why it could not be graded; empty where it could
    at, seconds when the check began (UTC), and how long it took
    command     and its arguments
    settings    seed, train_seconds, prompt_seconds, timeout, least_poll_seconds
    counts      how many scenarios passed, failed, and were unmet: no fault was injected
    advice      what to do about each kind of finding
    scenarios   of each: name, says, ends (well, badly), rules, struck (number of faults), verdict,
                seconds, exit (null: it had to be ended), output (the last lines), requests (all),
                findings: of each name, says, and the requests and callbacks that show it

Times of requests and callbacks are seconds since the command began; `made` is the id of the
object that a request created.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from astria_emulator.faults.reading import rule_as_json
from astria_emulator.testing.check_client.grading import ADVICE, HOW, Verdict, grade
from astria_emulator.testing.check_client.play import TO_CALL_BACK, Callback, Request

FORM = 1
WORDS = ("passed", "failed", "unmet")
ABRIDGED = 160  # characters of a body
ON_PAGE, FEW = 200, 10  # requests on the page: of a scenario, of a finding


@dataclass(frozen=True)
class Check:
    """One check of a client. `error`: why it could not be graded."""

    command: Sequence[str]
    at: datetime
    seconds: float
    settings: Mapping[str, float]
    verdicts: Sequence[Verdict]
    error: str = ""

    @property
    def grade(self) -> str | None:
        return None if self.error else grade(self.verdicts)

    @property
    def counts(self) -> dict[str, int]:
        words = [verdict.word for verdict in self.verdicts]
        return {word: words.count(word) for word in WORDS}


def write(check: Check, folder: Path) -> None:
    """Write both files to a folder.

    Raises OSError.
    """
    report = as_json(check)
    text = json.dumps(report, indent=1, ensure_ascii=False, default=str) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("report.json", text), ("report.html", render(report))):
        (folder / name).write_text(content, "utf-8", errors="backslashreplace")


def as_json(check: Check) -> dict[str, Any]:
    return {
        "form": FORM,
        "grade": check.grade,
        "how": HOW,
        "error": check.error,
        "at": check.at.isoformat(timespec="seconds"),
        "seconds": round(check.seconds, 1),
        "command": list(check.command),
        "settings": dict(check.settings),
        "counts": check.counts,
        "advice": dict(ADVICE),
        "scenarios": [_scenario(verdict) for verdict in check.verdicts],
    }


def _scenario(verdict: Verdict) -> dict[str, Any]:
    play = verdict.play
    return {
        "name": play.name,
        "says": play.scenario.says,
        "ends": play.scenario.ends,
        "rules": [rule_as_json(rule) for rule in play.scenario.rules],
        "struck": play.struck,
        "verdict": verdict.word,
        "seconds": round(play.seconds, 3),
        "exit": play.exit,
        "output": play.output,
        "requests": [_request(request) for request in play.requests],
        "findings": [
            {
                "name": finding.name,
                "says": finding.says,
                "requests": [_request(request) for request in finding.requests],
                "callbacks": [_callback(callback) for callback in finding.callbacks],
            }
            for finding in verdict.findings
        ],
    }


def _request(request: Request) -> dict[str, Any]:
    times = {"start": round(request.start, 3), "end": round(request.end, 3)}
    return {**asdict(request), **times, "body": _without_queries(request.body)}


def _callback(callback: Callback) -> dict[str, Any]:
    ended = None if callback.ended is None else round(callback.ended, 3)
    times = {"sent": round(callback.sent, 3), "ended": ended}
    return {**asdict(callback), **times, "outcome": outcome(callback)}


def render(report: Mapping[str, Any]) -> str:
    """Return the report as HTML. Every text is escaped: a client may send and print HTML."""
    template = Path(__file__).with_name("report.html.jinja").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    helpers = {"abridged": abridged, "in_order": in_order, "by_kind": by_kind}
    limits = {"most": ON_PAGE, "few": FEW}
    return environment.from_string(template).render(report=report, **helpers, **limits)


def in_order(
    requests: Sequence[Mapping[str, Any]], callbacks: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return requests and callbacks in the order in which they were sent."""
    events = [*requests, *callbacks]
    return sorted(events, key=lambda event: float(event.get("sent", event.get("start", 0.0))))


def by_kind(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names of scenarios by kind of finding, the most frequent kind first."""
    names: dict[str, list[str]] = {}
    for scenario in report["scenarios"]:
        for kind in dict.fromkeys(finding["name"] for finding in scenario["findings"]):
            names.setdefault(kind, []).append(scenario["name"])
    return dict(sorted(names.items(), key=lambda item: -len(item[1])))


def outcome(callback: Callback) -> str:
    """Return the status or the error of a callback."""
    return "never sent" if callback.ended is None else str(callback.status or callback.error)


def abridged(body: Any) -> str:
    """Return the beginning of a body; callback addresses without their queries, often secret."""
    return cut(json.dumps(_without_queries(body), ensure_ascii=False, default=str), ABRIDGED)


def cut(text: str, length: int) -> str:
    """Shorten a text to at most so many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _without_queries(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: item.partition("?")[0]
            if name in TO_CALL_BACK and isinstance(item, str)
            else _without_queries(item)
            for name, item in value.items()
        }
    return [_without_queries(item) for item in value] if isinstance(value, list) else value
