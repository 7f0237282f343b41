"""Values on either side of each constraint of the contract."""

import pytest
from hypothesis import given, settings

from astria_contracts.spec.document import read_document
from astria_contracts.spec.encoding import NOTHING, File
from astria_contracts.spec.sides import MISSING, sides_of
from astria_contracts.spec.values import DATA_URL, PATTERNS, beyond, sample, strategy_of, within

DOCUMENT = read_document()
SIDES = sides_of(DOCUMENT)
CONSTRAINTS = [one for constraints in SIDES.of.values() for one in constraints]
TWO_SIDED = [one for one in CONSTRAINTS if not one.one_sided]
# A schema that many fields share is tried once; files are not generated.
FIELDS = {
    str(one.schema): one
    for one in CONSTRAINTS
    if one.place[0] == "body" and one.schema.get("format") != "binary"
}.values()
AT: dict[tuple[str, ...], list] = {}
for one in CONSTRAINTS:
    AT.setdefault((one.operation, *one.place), []).append(one)


def is_within(constraint, value):
    return SIDES._is_within(constraint, MISSING if value is NOTHING else value)


def broken(constraint, value):
    """The keywords of the same field that a value breaks."""
    same = AT[(constraint.operation, *constraint.place)]
    return {one.keyword for one in same if is_within(one, value) is False}


def test_values_within_keep_every_constraint_of_their_field():
    assert len(CONSTRAINTS) > 500
    values = {one: list(within(DOCUMENT, one)) for one in CONSTRAINTS}
    assert [one.label for one in CONSTRAINTS if not values[one]] == []
    assert [
        one.label for one in CONSTRAINTS if not all(is_within(one, v) for v in values[one])
    ] == []
    assert {
        keyword for one in CONSTRAINTS for v in values[one] for keyword in broken(one, v)
    } == set()


def test_values_beyond_break_their_constraint():
    values = {one: list(beyond(DOCUMENT, one)) for one in TWO_SIDED}
    assert [one.label for one in TWO_SIDED if not values[one]] == []
    beside = {one: [is_within(one, value) for value in values[one]] for one in TWO_SIDED}
    assert [one.label for one, sides in beside.items() if set(sides) != {False}] == []


def test_values_beyond_break_no_other_constraint_of_their_field():
    allowed = {
        "pattern": {"pattern", "required"},  # what is blank is also missing,
        "minItems": {"minItems", "required"},  # and so is a list of nothing
    }
    found = {
        (one.label, str(keywords))
        for one in TWO_SIDED
        for value in beyond(DOCUMENT, one)
        if (keywords := broken(one, value)) - allowed.get(one.keyword, {one.keyword})
    }
    assert found == set()


@pytest.mark.parametrize("constraint", FIELDS, ids=lambda one: f"{one.operation} {one.place}")
def test_generated_values_keep_every_constraint(constraint):
    @settings(max_examples=5, derandomize=True, database=None, deadline=None)
    @given(strategy_of(DOCUMENT, constraint.schema))
    def keeps(value):
        assert value is not None
        assert broken(constraint, value) == set()

    keeps()


@settings(max_examples=20, derandomize=True, database=None)
@given(
    strategy_of(DOCUMENT, {"type": "integer", "minimum": 64, "maximum": 4096, "multipleOf": 8}),
    strategy_of(DOCUMENT, {"type": "integer", "minimum": 1, "x-clamp": 8}),
)
def test_generated_whole_numbers_keep_their_limits(side, number):
    assert (side % 8, 64 <= side <= 4096) == (0, True)
    assert 1 <= number <= 8


def test_every_pattern_of_the_contract_is_known():
    patterns = {one.schema["pattern"] for one in CONSTRAINTS if one.keyword == "pattern"}
    assert {one for one in patterns if "base64" not in one} == set(PATTERNS)


def test_sample_of_a_file_is_a_picture():
    found = sample({"type": "string", "format": "binary"})
    assert isinstance(found, File)
    assert found.content.startswith(b"\x89PNG")
    assert DATA_URL.startswith("data:image/png;base64,iVBOR")
