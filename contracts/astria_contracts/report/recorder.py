"""The result of a run as data: by property, by operation, and the coverage of the contract.

`report.json` has these keys:

    form        number of this form; another one means other keys
    verdict     kept; broken: a property has failed; untested: none has, but not all was tried
    error       why the run ended early, or tried nothing; empty where it did not
    at, seconds when it began (UTC), and how long it took
    contract    version of the contract
    target      url, name, version; lacks (capability: why it is missing); left (paths of what was
                made and could not be deleted)
    run         budget, seed (null: each property has its own cases, always the same), branch,
                python
    totals      number of properties that have passed, failed, skipped
    classes     the same for each class of properties
    skipped     reason: number of properties that were skipped for it
    properties  of each: id, class, property, about, case, outcome, seconds, operations (ids);
                reason, where it has not passed; where it has failed also case_shown (the smallest
                case that fails) and exchanges (operation, curl, status, answer), the newest last
    operations  of each: id, operation (method and path), statuses (each that is documented: how
                often it was seen), undocumented (the same for others), passed, failed, skipped
    coverage    of each part: total, seen, share, missing (names), exempt (name: reason)
    compared    where another report was given: url, name, version and at of its run, and
                differences (part, name, other: what it says, this: what this one says)
"""

import json
import platform
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from astria_contracts.client.discovery import opened
from astria_contracts.client.target import Target, TargetError
from astria_contracts.options import Options
from astria_contracts.report.compare import FORM, comparison
from astria_contracts.report.failures import (
    LONGEST,
    let_hypothesis_print,
    message,
    messages,
    skip_reason,
    smallest_cases,
)
from astria_contracts.spec.document import Operation, read_document

SHOWN = 12  # the last exchanges of a property that has failed
SECRET = 8  # characters: a shorter key protects nothing, and its letters may be anywhere
OUTCOMES = ("passed", "failed", "skipped")
END_REASONS = {
    pytest.ExitCode.INTERRUPTED: "the run was interrupted",
    pytest.ExitCode.INTERNAL_ERROR: "pytest has failed",
    pytest.ExitCode.USAGE_ERROR: "the run could not begin",
    pytest.ExitCode.NO_TESTS_COLLECTED: "no property was chosen",
}


class Recorder:
    """Opens the target for the first test, and records the outcome of each.

    `compared` is an earlier report.
    """

    def __init__(self, options: Options, compared: Mapping[str, Any] | None = None):
        self._options, self._compared = options, compared
        self._opened = ExitStack()
        self._target: Target | None = None
        self._error = ""
        self._begun, self._at = time.monotonic(), datetime.now(UTC)
        self._properties: dict[str, dict[str, Any]] = {}
        self.report: dict[str, Any] = {}
        let_hypothesis_print()

    @property
    def target(self) -> Target:
        if self._target is None:
            try:
                self._target = self._opened.enter_context(opened(self._options, read_document()))
            except TargetError as error:
                self._error = str(error)
            except Exception as error:
                self._error = message(error)
            if self._target is None:
                pytest.exit(self._error, returncode=pytest.ExitCode.USAGE_ERROR)
        return self._target

    def fail(self, error: str) -> None:
        """Record why the run is incomplete."""
        self._error = self._error or error[:LONGEST]

    def record(
        self, item: Any, report: pytest.TestReport, error: BaseException | None = None
    ) -> None:
        """Record a phase of a test: setup, call and teardown can all fail or skip it."""
        self._conceal(report)
        if self._target is None or (report.passed and report.when != "call"):
            return
        found = {
            **_described(item),
            "outcome": report.outcome,
            "seconds": round(report.duration, 3),
            "operations": sorted(self._target.operations | _operations_of(item)),
        }
        if report.skipped:
            found["reason"] = skip_reason(report)
        elif report.failed:
            exchanges = [asdict(one) for one in self._target.exchanges[-SHOWN:]]
            found["reason"] = messages(error) or report.longreprtext[-LONGEST:]
            found |= {"case_shown": smallest_cases(error), "exchanges": exchanges}
        known = self._properties.get(item.nodeid)
        if known is None or known["outcome"] != "failed":
            self._properties[item.nodeid] = found

    def close(self, folder: str, *, status: int = pytest.ExitCode.OK) -> None:
        """End the run, which pytest ends with a status, and write the report into a folder."""
        self._opened.close()
        known = status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if not known and not self._error:
            self._error = END_REASONS.get(pytest.ExitCode(status), f"pytest ended with {status}")
        if self._target is None and not self._error:
            return  # tests were only listed
        self.report = self._redacted(self._report())
        if self._compared:
            self.report["compared"] = comparison(self._compared, self.report)
        if folder:
            from astria_contracts.report.page import render

            text = json.dumps(self.report, indent=1, ensure_ascii=False) + "\n"
            Path(folder).mkdir(parents=True, exist_ok=True)
            for name, content in (("report.json", text), ("report.html", render(self.report))):
                # An answer's odd characters must not cost the report.
                (Path(folder) / name).write_text(content, "utf-8", errors="backslashreplace")

    def _report(self) -> dict[str, Any]:
        properties, options, target = list(self._properties.values()), self._options, self._target
        if not self._error and not any(one["outcome"] != "skipped" for one in properties):
            self._error = "every property was skipped"
        classes: dict[str, list[dict[str, Any]]] = {}
        for found in properties:
            classes.setdefault(found["class"], []).append(found)
        totals = _counted(properties)
        return {
            "form": FORM,
            "verdict": "broken" if totals["failed"] else "untested" if self._error else "kept",
            "error": self._error,
            "at": self._at.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._begun, 1),
            "contract": read_document().version,
            "target": {
                "url": target.url if target else options.target,
                "name": str(target.info.get("name", "")) if target else "",
                "version": str(target.info.get("version", "")) if target else "",
                "lacks": target.lacks if target else {},
                "left": target.undeleted if target else [],
            },
            "run": {
                "budget": options.budget,
                "seed": options.seed,
                "branch": options.branch,
                "python": platform.python_version(),
            },
            "totals": totals,
            "classes": {name: _counted(of) for name, of in classes.items()},
            "skipped": dict(
                Counter(one["reason"] for one in properties if one["outcome"] == "skipped")
            ),
            "properties": properties,
            "operations": _operations(target, properties) if target else [],
            "coverage": {part.name: part.as_json() for part in target.coverage.parts}
            if target
            else {},
        }

    @property
    def _secrets(self) -> list[str]:
        options = self._options
        keys = {options.key, options.second_key, options.control_token}
        keys |= set(self._target.keys.values()) if self._target else set()
        found = [key for key in keys if len(key) >= SECRET]
        return sorted(found, key=len, reverse=True)  # one may be the other's beginning

    def _redacted(self, value: Any) -> Any:
        """The same without the keys of the run, wherever a server has repeated them."""
        if isinstance(value, dict):
            return {self._redacted(key): self._redacted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        if isinstance(value, str):
            for key in self._secrets:
                value = value.replace(key, "[key]")
            return re.sub(r"(?<=://)[^/@\s]*@", "", value)  # a password in an address
        return value

    def _conceal(self, report: pytest.TestReport) -> None:
        """Keep keys out of what pytest itself prints, and out of JUnit's file."""
        if self._redacted(report.longreprtext) != report.longreprtext:
            report.longrepr = self._redacted(report.longreprtext)
        report.sections = [(name, self._redacted(text)) for name, text in report.sections]


def _described(item: Any) -> dict[str, Any]:
    """How a test is called in the report; a state machine by its class."""
    is_machine = item.name == "runTest"
    name = item.cls.__name__ if is_machine else getattr(item, "originalname", item.name)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).removeprefix("Test_").removeprefix("test_")
    about = "" if is_machine else (item.function.__doc__ or "").strip().partition("\n\n")[0]
    return {
        "id": item.nodeid.rpartition("::")[2],
        "class": _sentence(item.module.__name__.rpartition(".")[2].removeprefix("test_")),
        "property": _sentence(words),
        "about": " ".join(about.split()),
        "case": item.name.partition("[")[2].removesuffix("]"),
    }


def _operations_of(item: Any) -> set[str]:
    """The operations of a test's parameters, even if it was skipped before it called one."""
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {value.id for value in params if isinstance(value, Operation)}


def _operations(target: Target, properties: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each operation its statuses, and the outcomes of the properties that touch it."""
    rows = []
    for operation in target.document.operations.values():
        seen = {
            int(label.rpartition(" ")[2]): count
            for label, count in target.coverage.statuses.seen.items()
            if label.rpartition(" ")[0] == operation.id and count
        }
        documented = operation.responses
        of = [found for found in properties if operation.id in found["operations"]]
        rows.append(
            {
                "id": operation.id,
                "operation": str(operation),
                "statuses": {str(status): seen.get(status, 0) for status in sorted(documented)},
                "undocumented": {
                    str(status): seen[status] for status in sorted(seen.keys() - documented.keys())
                },
                **_counted(of),
            }
        )
    return rows


def _counted(properties: list[dict[str, Any]]) -> dict[str, int]:
    outcomes = [found["outcome"] for found in properties]
    return {outcome: outcomes.count(outcome) for outcome in OUTCOMES}


def _sentence(name: str) -> str:
    return name.replace("_", " ").strip().capitalize()
