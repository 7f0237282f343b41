"""What is assumed, and how it is switched."""

import pytest

from astria_emulator.domain.assumptions import ASSUMPTIONS, read_assumptions
from astria_emulator.errors import SetupError

SWITCHES = [row for row in ASSUMPTIONS if len(row.choices) > 1]
FIXED = [row for row in ASSUMPTIONS if len(row.choices) == 1]


def test_every_assumption_has_its_first_choice_by_default() -> None:
    assert read_assumptions(()) == {row.name: row.choices[0] for row in ASSUMPTIONS}


@pytest.mark.parametrize("row", ASSUMPTIONS, ids=lambda row: row.name)
def test_assumption_has_a_name_of_its_own_and_says_something(row) -> None:
    assert [other.name for other in ASSUMPTIONS].count(row.name) == 1
    assert len(set(row.choices)) == len(row.choices) >= 1
    assert row.says.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"), [(row.name, value) for row in SWITCHES for value in row.choices]
)
def test_assumption_is_switched_alone(name: str, value: str) -> None:
    assert read_assumptions([f"{name}={value}"]) == {**read_assumptions(()), name: value}


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_assumption_cannot_be_switched_when_it_has_one_choice(row) -> None:
    with pytest.raises(SetupError, match=f"{row.name!r}: expected one of callback-body"):
        read_assumptions([f"{row.name}={row.choices[0]}"])


def test_last_of_several_values_counts() -> None:
    assert read_assumptions(["keys=any", "keys=sd"])["keys"] == "sd"


def test_everything_unknown_is_listed_at_once() -> None:
    with pytest.raises(SetupError) as refused:
        read_assumptions(["keys=some", "nonsense=1", "keys", "limit=none", "delete-status=204"])
    names = ", ".join(row.name for row in SWITCHES)
    assert refused.value.problems == (
        "keys='some': expected one of sd, any",
        f"'nonsense': expected one of {names}",
        "keys='': expected one of sd, any",
        f"'limit': expected one of {names}",
    )
