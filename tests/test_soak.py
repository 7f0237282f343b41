"""What `make soak` tells of its figures; the figures themselves take minutes."""

from collections import Counter

import pytest

from tools.soak import problems


@pytest.mark.parametrize(
    ("growth", "rate", "statuses", "found"),
    [
        (0.2, 1.3, {200: 5, 201: 5, 404: 1}, []),
        (-0.1, 0.9, {}, []),
        (0.21, 1.0, {}, ["memory has grown"]),
        (0.0, 0.89, {}, ["the rate"]),
        (0.0, 1.0, {200: 1, 422: 2, 500: 1, 503: 1}, ["2 requests", "1 requests", "1 requests"]),
        (1.0, 0.1, {429: 1}, ["memory", "the rate", "1 requests"]),
    ],
)
def test_what_does_not_hold_is_told(
    growth: float, rate: float, statuses: dict[int, int], found: list[str]
) -> None:
    told = problems(growth, rate, Counter(statuses))
    assert len(told) == len(found)
    assert all(text.startswith(begin) for text, begin in zip(told, found, strict=True))
