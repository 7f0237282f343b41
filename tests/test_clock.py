"""The clocks, and how a time is written on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.clock import TICK, SystemClock, VirtualClock, read_time, wire_time

START = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=ZONES)
SHIFT = timedelta(days=400)
SPANS = st.timedeltas(timedelta(0), timedelta(days=400))


def test_system_clock_gives_the_time_in_utc_to_the_millisecond() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


class Machine:
    """A machine's clock that can be set, and time that passes."""

    def __init__(self) -> None:
        self.wall, self.passed = START, 0.0

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall, lambda: self.passed)

    def let_pass(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.passed += seconds


def test_system_clock_that_is_set_back_goes_on_and_follows_forward() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.let_pass(5)
    assert clock.now() == START + timedelta(seconds=5)
    machine.wall -= timedelta(hours=1)
    assert clock.now() == START + timedelta(seconds=5)
    machine.let_pass(30)
    assert clock.now() == START + timedelta(seconds=35)
    machine.wall += timedelta(hours=3)
    assert clock.now() == START + timedelta(hours=2, seconds=35)
    machine.let_pass(1.25)
    assert clock.now() == START + timedelta(hours=2, seconds=36.25)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.timedeltas(-SHIFT, SHIFT)), max_size=9))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_system_clock_takes_no_longer_than_the_time_that_passes(
    steps: list[tuple[float, timedelta]],
) -> None:
    machine = Machine()
    clock = machine.clock()
    for seconds, shift in steps:
        before = clock.now()
        machine.let_pass(seconds)
        machine.wall += shift
        assert clock.now() - before >= timedelta(seconds=seconds, milliseconds=-1.001)
        assert clock.now() >= machine.wall - timedelta(milliseconds=1)


def test_virtual_clock_stands_still_until_it_is_told() -> None:
    clock = VirtualClock(START)
    assert clock.now() == clock.now() == START


def test_virtual_clock_moves_one_tick_with_each_request() -> None:
    clock = VirtualClock(START)
    clock.tick()
    clock.tick()
    assert clock.now() == START + 2 * TICK


@given(st.lists(SPANS, max_size=5))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_virtual_clock_advances_by_the_sum_of_all_spans(spans: list[timedelta]) -> None:
    clock = VirtualClock(START)
    for span in spans:
        clock.advance(span)
    assert clock.now() == START + sum(spans, timedelta(0))


@given(st.lists(st.timedeltas(timedelta(days=-400), timedelta(days=400)), min_size=1, max_size=5))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_virtual_clock_moves_to_the_latest_moment_and_never_back(spans: list[timedelta]) -> None:
    clock = VirtualClock(START)
    for span in spans:
        clock.move_to(START + span)
    assert clock.now() == START + max(timedelta(0), *spans)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2023, 10, 2, 14, 32, 40, 363000, UTC), "2023-10-02T14:32:40.363Z"),
        (datetime(2023, 10, 2, 14, 32, 40, tzinfo=UTC), "2023-10-02T14:32:40.000Z"),
        (datetime(2023, 10, 2, 14, 32, 40, 999, UTC), "2023-10-02T14:32:40.000Z"),
        (datetime(2023, 10, 2, 14, 32, 40, 999999, UTC), "2023-10-02T14:32:40.999Z"),
        (
            datetime(2023, 10, 2, 1, 0, tzinfo=timezone(timedelta(hours=2))),
            "2023-10-01T23:00:00.000Z",
        ),
    ],
)
def test_wire_time_is_utc_with_three_digits_of_milliseconds(moment: datetime, text: str) -> None:
    assert wire_time(moment) == text


@given(MOMENTS)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_read_time_reads_what_wire_time_wrote_to_the_millisecond(moment: datetime) -> None:
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert read_time(wire_time(moment)) == cut


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00Z",
        "2026-01-01T02:00:00+02:00",
        "2025-12-31T19:00:00.000-05:00",
    ],
)
def test_read_time_takes_a_time_without_a_zone_as_utc(text: str) -> None:
    assert read_time(text) == START
    assert read_time(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-01-01T25:00:00Z", "12"])
def test_read_time_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the library's
        read_time(text)
