"""Fault rules: which fault is injected where, and when."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import blake2b
from random import Random
from typing import Any

from astria_emulator.errors import Conflict
from astria_emulator.faults.kinds import KINDS
from astria_emulator.storage.store import Row

MOST_RULES = 100  # each request looks at all
LONGEST_SECONDS = 31_536_000.0  # of a latency, which a lognormal time may exceed by far


@dataclass(frozen=True)
class Rule:
    """A fault, and the events into which it is injected.

    operation: an operationId, or a pattern such as `create_*`. `object`: whose callback - tune,
    prompt, run or *. `key`: the account's API key. Of the matching events only the `nth` count
    (from 1; empty: all), and at most `times` of them; `probability` is from 0 to 1. `settings` are
    the fault's own.
    """

    fault: str
    operation: str = "*"
    object: str = "*"
    key: str | None = None
    nth: tuple[int, ...] = ()
    times: int | None = None
    probability: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Return one of the fault's settings, or its default."""
        return self.settings.get(name, KINDS[self.fault].defaults.get(name))


@dataclass(frozen=True)
class ActiveRule:
    """A rule with its counts: `met` matching events so far, `struck` of them with the fault."""

    id: int
    rule: Rule
    met: int = 0
    struck: int = 0


@dataclass(frozen=True)
class InjectedFault:
    """A fault that is injected now. `generator`: random numbers, the same for the same history."""

    rule: Rule
    generator: Random

    def __getitem__(self, name: str) -> Any:
        return self.rule[name]

    def seconds(self) -> float:
        """Draw the seconds of a latency: fixed, uniform or lognormal, as its settings say."""
        low: float = self["seconds"]
        high, sigma = self["up_to"], self["sigma"]
        if sigma is not None:
            drawn = low * self.generator.lognormvariate(0.0, sigma)
            return min(drawn, LONGEST_SECONDS if high is None else float(high))
        return low if high is None else self.generator.uniform(low, float(high))


class Faults:
    """The active rules. Random numbers depend on the seed, the rule's id and its count.

    owner_of: returns the row id of a key's account. Safe for use from several threads.
    """

    def __init__(self, seed: int, owner_of: Callable[[str], int | None] = lambda key: None):
        self.seed, self._owner_of = seed, owner_of
        self._lock = threading.Lock()
        self._initial: tuple[Rule, ...] = ()
        self._active: dict[int, ActiveRule] = {}
        self._next_id = 1

    def __bool__(self) -> bool:
        return bool(self._active)

    def start_with(self, rules: Iterable[Rule]) -> None:
        """Activate these rules, now and after each reset."""
        self._initial = tuple(rules)
        self.reset()

    def reset(self) -> None:
        """Activate the rules of the start only, with counts of zero."""
        self.set(self._initial)

    def set(self, rules: Iterable[Rule]) -> None:
        """Activate these rules and no others; ids begin at 1 again, and so do random numbers."""
        with self._lock:
            self._active = {id: ActiveRule(id, rule) for id, rule in enumerate(rules, 1)}
            self._next_id = len(self._active) + 1

    def add(self, rule: Rule) -> ActiveRule:
        """Activate one more rule.

        Raises Conflict when there are too many.
        """
        with self._lock:
            if len(self._active) >= MOST_RULES:
                raise Conflict(f"there are {MOST_RULES} rules, and no more may be; delete one")
            active = self._active[self._next_id] = ActiveRule(self._next_id, rule)
            self._next_id += 1
        return active

    def remove(self, id: int) -> bool:
        """Remove a rule; return whether it existed."""
        with self._lock:
            return self._active.pop(id, None) is not None

    def active(self) -> list[ActiveRule]:
        """Return the rules with their counts, oldest first."""
        with self._lock:
            return list(self._active.values())

    def inject(
        self, faults: Collection[str], name: str, has_key: Callable[[str], bool]
    ) -> InjectedFault | None:
        """Return the fault of the first due rule for an event; None where no rule is due.

        Every rule that matches counts the event. faults: names of those that may be injected.
        name: of the operation, or of the object's table. `has_key`: whether the event is a key's.
        """
        result = None
        with self._lock:
            for id, active in self._active.items():
                if not _matches(active.rule, faults, name, has_key):
                    continue
                counted = replace(active, met=active.met + 1)
                injected = InjectedFault(counted.rule, self._generator(counted))
                if result is None and _is_due(counted, injected.generator):
                    result = injected
                    counted = replace(counted, struck=counted.struck + 1)
                self._active[id] = counted
        return result

    def inject_for_row(self, faults: Collection[str], row: Row) -> InjectedFault | None:
        """Do as `inject`, for an object's work or callback."""
        # Not under our lock: `owner_of` reads the store, whose lock this thread may hold.
        keys = {active.rule.key for active in self.active()} - {None}
        own = {key for key in keys if key and self._owner_of(key) == row.owner}
        return self.inject(faults, row.table, own.__contains__)

    def _generator(self, active: ActiveRule) -> Random:
        text = f"{self.seed}/{active.id}/{active.met}".encode()
        return Random(int.from_bytes(blake2b(text, digest_size=8).digest()))  # noqa: S311 - no secret


def _matches(
    rule: Rule, faults: Collection[str], name: str, has_key: Callable[[str], bool]
) -> bool:
    return (
        rule.fault in faults
        and fnmatchcase(name, rule.operation)
        and fnmatchcase(name, rule.object)
        and (rule.key is None or has_key(rule.key))
    )


def _is_due(active: ActiveRule, generator: Random) -> bool:
    rule = active.rule
    if rule.nth and active.met not in rule.nth:
        return False
    if rule.times is not None and active.struck >= rule.times:
        return False
    return generator.random() < rule.probability
