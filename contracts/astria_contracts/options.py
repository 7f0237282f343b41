"""The options of a run."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import hypothesis
from hypothesis import HealthCheck, Phase

Budget = Literal["quick", "full"]
KEY, SECOND_KEY = "sd_contracts", "sd_contracts_second"


@dataclass(frozen=True)
class Options:
    """Settings of one run.

    Without a target the emulator is started. `picture_url` is where tunes take their pictures from,
    for a server that fetches them. `rate` is requests a second to a public server.
    `listener_url` is where the target reaches this machine, `control_token` opens its /_emulator/,
    `has` and `lacks` name capabilities, whatever its description. `seed` None makes each test
    choose its own cases, always the same; with `no_shrink` the first that fails is shown, and no
    smaller one is looked for.
    """

    target: str = ""
    key: str = field(default=KEY, repr=False)
    second_key: str = field(default="", repr=False)
    branch: str = "fast"
    budget: Budget = "quick"
    seed: int | None = None
    allow_paid: bool = False
    listener_url: str = ""
    control_token: str = field(default="", repr=False)
    picture_url: str = "https://example.com/1.jpg"
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    no_shrink: bool = False
    patience: float = 60.0
    rate: float = 2.0

    @property
    def _without(self) -> set[Phase]:
        return {Phase.shrink, Phase.explain} if self.no_shrink else {Phase.explain}

    def settings(self, quick: int, full: int, **more: Any) -> hypothesis.settings:
        """How many cases hypothesis tries."""
        return hypothesis.settings(
            max_examples=quick if self.budget == "quick" else full,
            derandomize=self.seed is None,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=[one for one in Phase if one not in self._without],
            **more,
        )


# Test modules are imported before there are fixtures, and their settings depend on it.
CURRENT: ContextVar[Options] = ContextVar("astria_contracts_options", default=Options())  # noqa: B039
