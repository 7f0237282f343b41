"""Rules: which fault strikes what, and when."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import blake2b
from random import Random
from typing import Any

from astria_emulator.faults.kinds import KINDS
from astria_emulator.storage.store import Row


@dataclass(frozen=True)
class Rule:
    """A fault, and what it strikes: all that fits, or of this only the `nth`, so many `times`.

    operation: an operationId, or a pattern of some, as `create_*`. `object`: whose callback - tune,
    prompt, run or *. `key`: the account's. `settings` are the fault's own.
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
        """One of the fault's settings, or its default."""
        return self.settings.get(name, KINDS[self.fault].defaults.get(name))


@dataclass(frozen=True)
class Standing:
    """A rule that counts: how often what it fits came by, and how often it struck."""

    id: int
    rule: Rule
    met: int = 0
    struck: int = 0


@dataclass(frozen=True)
class Struck:
    """A rule that strikes now, and its chance: the same for the same history."""

    rule: Rule
    chance: Random

    def __getitem__(self, name: str) -> Any:
        return self.rule[name]

    def seconds(self) -> float:
        """Of a latency: fixed, uniform or lognormal, as its settings say."""
        low: float = self["seconds"]
        high, sigma = self["up_to"], self["sigma"]
        if sigma is not None:
            drawn = low * self.chance.lognormvariate(0.0, sigma)
            return drawn if high is None else min(drawn, float(high))
        return low if high is None else self.chance.uniform(low, float(high))


class Faults:
    """The rules that stand. Chance is drawn from the seed, the rule's id and its count.

    owner_of: the row id of a key's account.
    """

    def __init__(self, seed: int, owner_of: Callable[[str], int | None] = lambda key: None):
        self.seed, self._owner_of = seed, owner_of
        self._lock = threading.Lock()
        self._first: tuple[Rule, ...] = ()
        self._standing: dict[int, Standing] = {}
        self._next = 1

    def __bool__(self) -> bool:
        return bool(self._standing)

    def start_with(self, rules: Iterable[Rule]) -> None:
        """Let these rules stand, now and after each reset."""
        self._first = tuple(rules)
        self.reset()

    def reset(self) -> None:
        """Begin anew, with the rules of the start only."""
        self.replace(self._first)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Let these rules stand and no others: their chance is that of a new beginning."""
        with self._lock:
            self._standing = {id: Standing(id, rule) for id, rule in enumerate(rules, 1)}
            self._next = len(self._standing) + 1

    def add(self, rule: Rule) -> Standing:
        with self._lock:
            standing = self._standing[self._next] = Standing(self._next, rule)
            self._next += 1
        return standing

    def remove(self, id: int) -> bool:
        """Whether there was such a rule."""
        with self._lock:
            return self._standing.pop(id, None) is not None

    def standing(self) -> list[Standing]:
        with self._lock:
            return list(self._standing.values())

    def strike(
        self, faults: Collection[str], name: str, has_key: Callable[[str], bool]
    ) -> Struck | None:
        """The first rule for one of some faults that is due. All that fit have met the event.

        name: of the operation, or of whose callback it is.
        """
        found = None
        with self._lock:
            for id, standing in self._standing.items():
                if not _fits(standing.rule, faults, name, has_key):
                    continue
                now = replace(standing, met=standing.met + 1)
                struck = Struck(now.rule, self._chance(now))
                if found is None and _is_due(now, struck.chance):
                    found = struck
                    now = replace(now, struck=now.struck + 1)
                self._standing[id] = now
        return found

    def strike_row(self, faults: Collection[str], row: Row) -> Struck | None:
        """As `strike`, for an object's work or callback."""
        # Asked of the store, whose lock may be held already, and so not under the one here.
        keys = {standing.rule.key for standing in self.standing()} - {None}
        own = {key for key in keys if key and self._owner_of(key) == row.owner}
        return self.strike(faults, row.table, own.__contains__)

    def _chance(self, standing: Standing) -> Random:
        told = f"{self.seed}/{standing.id}/{standing.met}".encode()
        return Random(int.from_bytes(blake2b(told, digest_size=8).digest()))  # noqa: S311 - no secret


def _fits(rule: Rule, faults: Collection[str], name: str, has_key: Callable[[str], bool]) -> bool:
    return (
        rule.fault in faults
        and fnmatchcase(name, rule.operation)
        and fnmatchcase(name, rule.object)
        and (rule.key is None or has_key(rule.key))
    )


def _is_due(standing: Standing, chance: Random) -> bool:
    rule = standing.rule
    if rule.nth and standing.met not in rule.nth:
        return False
    if rule.times is not None and standing.struck >= rule.times:
        return False
    return chance.random() < rule.probability
