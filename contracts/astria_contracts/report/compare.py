"""Two reports side by side: where two targets differ."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]
FORM = 1  # of reports; another one has other keys, and cannot be compared


class NoReport(Exception):
    """A file is no report that can be compared."""


@dataclass(frozen=True)
class Difference:
    """What differs between two reports: the same item in each."""

    part: str
    name: str
    other: str
    this: str


def read_report(path: str) -> dict[str, Any]:
    """An earlier `report.json`.

    Raises NoReport.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise NoReport(f"--compare {path}: {error.strerror}") from None
    except ValueError:
        raise NoReport(f"--compare {path}: is no JSON") from None
    form = found.get("form") if isinstance(found, dict) else None
    if form != FORM:
        raise NoReport(f"--compare {path}: expected a report of form {FORM}, not {form}")
    return dict(found)


def comparison(other: Report, this: Report) -> dict[str, Any]:
    """The other report's run, and where it differs from this one."""
    target = {name: other["target"][name] for name in ("url", "name", "version")}
    found = [asdict(one) for one in differences(other, this)]
    return {**target, "at": other["at"], "differences": found}


def differences(other: Report, this: Report) -> Iterator[Difference]:
    for part, (values_of, otherwise) in PARTS.items():
        theirs, ours = values_of(other), values_of(this)
        for name in dict.fromkeys((*ours, *theirs)):
            one, two = theirs.get(name, otherwise), ours.get(name, otherwise)
            if one != two:
                yield Difference(part, name, one, two)


def _run(report: Report) -> dict[str, str]:
    return {"contract": report["contract"], "budget": report["run"]["budget"]}


def _lacks(report: Report) -> dict[str, str]:
    return dict.fromkeys(report["target"]["lacks"], "missing")


def _properties(report: Report) -> dict[str, str]:
    return {
        f"{found['class']}: {found['property']} {found['case']}".strip(): found["outcome"]
        for found in report["properties"]
    }


def _statuses(report: Report) -> dict[str, str]:
    return {
        found["operation"]: " ".join(
            status
            for status, count in sorted({**found["statuses"], **found["undocumented"]}.items())
            if count
        )
        or "none"
        for found in report["operations"]
    }


def _coverage(report: Report) -> dict[str, str]:
    return {name: f"{part['share']:.1%}" for name, part in report["coverage"].items()}


# What a report says of each part, and what it means where it says nothing.
PARTS = {
    "run": (_run, "unknown"),
    "capability": (_lacks, "present"),
    "property": (_properties, "not run"),
    "statuses": (_statuses, "unknown"),
    "coverage": (_coverage, "unknown"),
}
