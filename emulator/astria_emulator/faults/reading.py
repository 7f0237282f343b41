"""Read rules and scenarios: from a request, a file, or a test's own words."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from astria_emulator.config import Config
from astria_emulator.errors import Invalid, SetupError
from astria_emulator.faults.kinds import ANSWER, CALLBACK, FILE, KINDS
from astria_emulator.faults.rules import Rule
from astria_emulator.spec.loading import control_contract, load_component
from astria_emulator.spec.openapi import Spec
from astria_emulator.spec.yaml_files import DocumentError, load_yaml

MATCHING = frozenset({"fault", "operation", "object", "key", "nth", "times", "probability"})


@dataclass(frozen=True)
class Scenario:
    """Rules with a name. `ends`: whether a good client gets what it wanted: "well" or "badly"."""

    name: str
    says: str
    ends: str
    rules: tuple[Rule, ...]


def operations_of(spec: Spec) -> list[str]:
    """What faults of answers may strike, by name."""
    return [FILE, *(operation.id for operation in spec.operations)]


def read_rule(given: Any, operations: Collection[str] | None) -> Rule:
    """A rule as it is written.

    operations: the ids that there are; None for any. Raises Invalid with all that is wrong.
    """
    rule = load_component(control_contract(), "Fault", given)
    kind = KINDS[rule["fault"]]
    settings = {name: value for name, value in rule.items() if name not in MATCHING}
    problems = {name: ["does not go with this fault"] for name in settings.keys() - kind.takes}
    problems |= {name: ["can't be blank"] for name in kind.needs - settings.keys()}
    for name, strikes in (("operation", ANSWER), ("object", CALLBACK)):
        if rule[name] != "*" and kind.strikes != strikes:
            problems[name] = ["does not go with this fault"]
    pattern = rule["operation"]
    if operations is not None and not any(fnmatchcase(name, pattern) for name in operations):
        problems["operation"] = ["is none of the contract's"]
    if rule["operation"] == FILE and "key" in rule:
        problems["key"] = ["is not sent with a file's address"]
    if settings.get("up_to") is not None and settings["up_to"] < settings.get("seconds", 0):
        problems["up_to"] = ["is less than seconds"]
    if problems:
        raise Invalid(problems)
    matching = {name: value for name, value in rule.items() if name in MATCHING}
    return Rule(**matching | {"nth": tuple(matching.get("nth", ()))}, settings=settings)


def read_rules(document: Any, place: str, operations: Collection[str] | None) -> tuple[Rule, ...]:
    """Rules of a file: a list of them.

    Raises SetupError with all that is wrong.
    """
    if not isinstance(document, list):
        raise SetupError(place, ["expected a list of rules"])
    found, problems = [], []
    for at, given in enumerate(document, 1):
        try:
            found.append(read_rule(given, operations))
        except Invalid as error:
            problems.append(f"rule {at}: {error.explanation}")
    if problems:
        raise SetupError(place, problems)
    return tuple(found)


@lru_cache
def scenarios() -> Mapping[str, Scenario]:
    """The named scenarios, by name."""
    path = Path(__file__).with_name("scenarios.yaml")
    return {
        name: Scenario(name, row["says"], row["ends"], read_rules(row["rules"], name, None))
        for name, row in load_yaml(path).items()
    }


def first_rules(config: Config, operations: Collection[str]) -> tuple[Rule, ...]:
    """Those that the settings name.

    Raises SetupError.
    """
    found: tuple[Rule, ...] = ()
    for name in config.scenario:
        if name not in scenarios():
            raise SetupError("--scenario", [unknown_scenario(name)])
        found += scenarios()[name].rules
    if config.faults:
        try:
            document = load_yaml(Path(config.faults))
        except (OSError, DocumentError) as error:
            raise SetupError("--faults", [f"{config.faults}: {error}"]) from None
        found += read_rules(document, f"--faults {config.faults}", operations)
    return found


def unknown_scenario(name: str) -> str:
    return f"{name!r}: expected one of {', '.join(scenarios())}"


def written(rule: Rule) -> dict[str, Any]:
    """A rule as it would be written."""
    named = {"fault": rule.fault, "operation": rule.operation, "object": rule.object}
    shown: dict[str, Any] = {name: value for name, value in named.items() if value != "*"}
    if rule.key is not None:
        shown["key"] = f"{rule.key[:3]}..."
    if rule.nth:
        shown["nth"] = list(rule.nth)
    if rule.times is not None:
        shown["times"] = rule.times
    return shown | {"probability": rule.probability, **rule.settings}
