"""When the next message is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.pace import Pace


@given(st.floats(0.01, 10_000), st.lists(st.floats(0, 30), max_size=50))
def test_a_rate_is_kept_and_at_most_a_second_is_caught_up(rate: float, pauses: list[float]) -> None:
    """However long the source or an outage stood in between."""
    pace, now = Pace(rate), 1000.0
    went: list[float] = []
    for pause in pauses:
        now += pause
        wait = pace.wait(now)
        assert 0 <= wait <= 1 / rate + 1e-6
        now += wait
        went.append(now)
    for first in range(len(went)):
        for last in range(first, len(went)):
            assert last - first <= rate * (went[last] - went[first] + 1) + 1.001


@pytest.mark.parametrize("rate", [0.5, 1, 100])
def test_the_first_goes_at_once_and_the_others_follow_evenly(rate: float) -> None:
    """For someone who is always ready."""
    pace, now = Pace(rate), 1000.0
    for number in range(10):
        wait = pace.wait(now)
        assert wait == pytest.approx(0 if number == 0 else 1 / rate)
        now += wait


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_without_a_rate_nothing_waits(times: list[float]) -> None:
    """As fast as it goes."""
    pace = Pace(None)
    assert all(pace.wait(now) == 0 for now in times)
