"""The limiter of both services: a steady rate, and what is read ahead of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.process.rate import RateLimiter, ahead


@given(st.floats(0.01, 10_000), st.lists(st.floats(0, 30), max_size=50))
def test_a_rate_is_kept_and_at_most_a_second_is_caught_up(rate: float, pauses: list[float]) -> None:
    """However long the source or an outage stood in between."""
    limiter, now = RateLimiter(rate), 1000.0
    went: list[float] = []
    for pause in pauses:
        now += pause
        wait = limiter.wait(now)
        assert 0 <= wait <= 1 / rate + 1e-6
        now += wait
        went.append(now)
    for first in range(len(went)):
        for last in range(first, len(went)):
            assert last - first <= rate * (went[last] - went[first] + 1) + 1.001


@pytest.mark.parametrize("rate", [0.5, 1, 100])
def test_the_first_goes_at_once_and_the_others_follow_evenly(rate: float) -> None:
    """For someone who is always ready."""
    limiter, now = RateLimiter(rate), 1000.0
    for number in range(10):
        wait = limiter.wait(now)
        assert wait == pytest.approx(0 if number == 0 else 1 / rate)
        now += wait


def test_a_limiter_hurries_for_one_second_and_no_longer_after_a_stop() -> None:
    """At 10 a second, 100 seconds late, ten more go at once."""
    limiter = RateLimiter(10)
    assert limiter.wait(1000.0) == 0
    waits = [limiter.wait(1100.0) for _ in range(13)]
    assert waits[:11] == pytest.approx([0] * 11)
    assert waits[11:] == pytest.approx([0.1, 0.2])


def test_a_second_s_worth_is_read_ahead_and_at_least_what_works_at_a_time() -> None:
    assert [ahead(rate, 1000) for rate in (None, 0.1, 1, 7.6, 5000)] == [1000, 1, 1, 8, 1000]
    assert [ahead(rate, 1000, 16) for rate in (None, 0.1, 15, 17)] == [1000, 16, 16, 17]
    assert ahead(0.1, 4, 16) == 4, "what the user allows is the most"


def test_a_consumer_s_limiter_catches_up_a_twentieth_of_a_second() -> None:
    limiter = RateLimiter(100, catch_up=0.05)
    assert limiter.wait(1000.0) == 0
    waits = [limiter.wait(1100.0) for _ in range(8)]
    assert waits == pytest.approx([0] * 6 + [0.01, 0.02])
