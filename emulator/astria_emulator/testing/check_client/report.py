"""The report: `report.json`, and `report.html`, which needs nothing else.

`report.json` has these keys:

    form        number of this form; another one means other keys
    grade       a letter, or null where the client could not be graded; `how` it comes about
    error       why it could not be graded; empty where it could
    at, seconds when the check began (UTC), and how long it took
    command     as it was given
    settings    seed, train_seconds, prompt_seconds, timeout, least_poll_seconds
    counts      how many scenarios have passed, failed, and were unmet: nothing of them struck
    advice      for each kind of finding what would do
    scenarios   of each: name, says, ends (well, badly), rules, struck (how often), verdict,
                seconds, exit (null: it had to be ended), output (the last of it), requests (all of
                them), findings: of each name, says, and the requests and callbacks that show it

Times of requests and callbacks are seconds since the command began; `made` is the id of what a
request made.
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
        found = [verdict.word for verdict in self.verdicts]
        return {word: found.count(word) for word in WORDS}


def write(check: Check, folder: Path) -> None:
    """Raises OSError."""
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
        "requests": [_request(one) for one in play.requests],
        "findings": [
            {
                "name": found.name,
                "says": found.says,
                "requests": [_request(one) for one in found.requests],
                "callbacks": [_callback(one) for one in found.callbacks],
            }
            for found in verdict.findings
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
    """Every text is escaped: a client may send and print HTML."""
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
    """Requests and callbacks by the time at which they were sent."""
    found = [*requests, *callbacks]
    return sorted(found, key=lambda event: float(event.get("sent", event.get("start", 0.0))))


def by_kind(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """The scenarios that have a finding of each kind, the most frequent kind first."""
    found: dict[str, list[str]] = {}
    for scenario in report["scenarios"]:
        for name in dict.fromkeys(one["name"] for one in scenario["findings"]):
            found.setdefault(name, []).append(scenario["name"])
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def outcome(callback: Callback) -> str:
    """What became of a callback."""
    return "never sent" if callback.ended is None else str(callback.status or callback.error)


def abridged(body: Any) -> str:
    """The beginning of a body; of an address to call back not the query, which may be secret."""
    return cut(json.dumps(_without_queries(body), ensure_ascii=False, default=str), ABRIDGED)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _without_queries(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: item.partition("?")[0]
            if name in TO_CALL_BACK and isinstance(item, str)
            else _without_queries(item)
            for name, item in value.items()
        }
    return [_without_queries(item) for item in value] if isinstance(value, list) else value
