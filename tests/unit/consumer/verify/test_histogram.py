"""Percentiles, buckets and bars."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.verify.histogram import Bucket, buckets, draw, duration, percentile

latencies = st.lists(st.floats(0, 10_000), min_size=1, max_size=200)


@given(latencies, st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_that_so_many_do_not_exceed(values: list[float], percent: int) -> None:
    """The smallest of those."""
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert found in ordered
    assert sum(value <= found for value in ordered) * 100 >= percent * len(ordered)
    assert sum(value < found for value in ordered) * 100 < percent * len(ordered)


@given(latencies)
def test_each_value_is_in_one_bucket_and_no_bucket_stands_empty_at_an_end(values: list[float]) -> None:
    """They adjoin."""
    found = buckets(values)
    assert sum(bucket.messages for bucket in found) == len(values)
    assert found[0].messages
    assert found[-1].messages
    assert [bucket.high for bucket in found[:-1]] == [bucket.low for bucket in found[1:]]
    for low, high, messages in found:
        assert messages == sum(low < value <= high or value == low == 0 for value in values)


def test_there_is_nothing_to_draw_of_nothing() -> None:
    """A run may end before a message came."""
    assert buckets([]) == []
    assert draw([], 10, blocks=True) == []


def test_bars_are_as_long_as_their_counts_and_what_is_there_is_seen() -> None:
    """To an eighth of a character, or in ASCII."""
    found = [Bucket(0.001, 0.0016, 1), Bucket(0.0016, 0.0025, 0), Bucket(0.0025, 0.004, 1600), Bucket(630.0, inf, 810)]
    assert draw(found, 10, blocks=True) == [
        "   1 ms - 1.6 ms      1  ▏",
        " 1.6 ms - 2.5 ms      0",
        " 2.5 ms - 4 ms    1,600  ██████████",
        "  630 s - inf s     810  █████▏",
    ]
    assert [line.partition("  ")[2].count("#") for line in draw(found, 10, blocks=False)] == [1, 0, 10, 6]
    assert all(line.isascii() for line in draw(found, 10, blocks=False))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000104, "10.4 us"),
        (0.00025, "250 us"),
        (0.001, "1 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1,000 ms"),
        (12345, "12,345 s"),
        (2, "2 s"),
    ],
)
def test_a_duration_has_three_digits(seconds: float, text: str) -> None:
    """Enough to compare."""
    assert duration(seconds) == text
