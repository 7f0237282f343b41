"""Read fault rules and scenarios from a request, a file or a test."""

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
    """A named list of rules.

    says: a sentence for the documentation. `ends`: "well" where a client that copes still succeeds,
    else "badly".
    """

    name: str
    says: str
    ends: str
    rules: tuple[Rule, ...]


def operation_names(spec: Spec) -> list[str]:
    """Return the names that a rule's `operation` may match."""
    return [FILE, *(operation.id for operation in spec.operations)]


def read_rule(document: Any, operations: Collection[str] | None) -> Rule:
    """Read a rule from JSON data.

    operations: the names that exist; None to accept any. Raises Invalid with all that is wrong.
    """
    rule = load_component(control_contract(), "Fault", document)
    kind = KINDS[rule["fault"]]
    settings = {name: value for name, value in rule.items() if name not in MATCHING}
    problems = {name: ["does not go with this fault"] for name in settings.keys() - kind.takes}
    problems |= {name: ["can't be blank"] for name in kind.needs - settings.keys()}
    for name, target in (("operation", ANSWER), ("object", CALLBACK)):
        if rule[name] != "*" and kind.affects != target:
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


def read_rules(document: Any, subject: str, operations: Collection[str] | None) -> tuple[Rule, ...]:
    """Read a list of rules.

    subject: where they come from, for messages. Raises SetupError with all that is wrong.
    """
    if not isinstance(document, list):
        raise SetupError(subject, ["expected a list of rules"])
    rules, problems = [], []
    for number, item in enumerate(document, 1):
        try:
            rules.append(read_rule(item, operations))
        except Invalid as error:
            problems.append(f"rule {number}: {error.explanation}")
    if problems:
        raise SetupError(subject, problems)
    return tuple(rules)


@lru_cache
def scenarios() -> Mapping[str, Scenario]:
    """Return the bundled scenarios by name."""
    path = Path(__file__).with_name("scenarios.yaml")
    return {
        name: Scenario(
            name=name,
            says=item["says"],
            ends=item["ends"],
            rules=read_rules(item["rules"], name, None),
        )
        for name, item in load_yaml(path).items()
    }


def configured_rules(config: Config, operations: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules that --scenario and --faults name.

    Raises SetupError.
    """
    rules: tuple[Rule, ...] = ()
    for name in config.scenario:
        if name not in scenarios():
            raise SetupError("--scenario", [unknown_scenario(name)])
        rules += scenarios()[name].rules
    if config.faults:
        try:
            document = load_yaml(Path(config.faults))
        except (OSError, DocumentError) as error:
            raise SetupError("--faults", [f"{config.faults}: {error}"]) from None
        rules += read_rules(document, f"--faults {config.faults}", operations)
    return rules


def unknown_scenario(name: str) -> str:
    """Return the message for a scenario that does not exist."""
    return f"{name!r}: expected one of {', '.join(scenarios())}"


def rule_as_json(rule: Rule) -> dict[str, Any]:
    """Return a rule as JSON data, its key abridged to three characters."""
    named = {"fault": rule.fault, "operation": rule.operation, "object": rule.object}
    shown: dict[str, Any] = {name: value for name, value in named.items() if value != "*"}
    if rule.key is not None:
        shown["key"] = f"{rule.key[:3]}..."
    if rule.nth:
        shown["nth"] = list(rule.nth)
    if rule.times is not None:
        shown["times"] = rule.times
    return shown | {"probability": rule.probability, **rule.settings}
