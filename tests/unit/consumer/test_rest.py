"""When the I/O thread rests."""

import pytest

from consumer.rest import BUSY, PART, REST, SPAN, Rest

AHEAD = 1024


def rests(rate: float, count: int, ahead: int = AHEAD, size: int = 256) -> list[float]:
    """What is answered in a second, while `count` come at a time, `rate` a second."""
    rest, turns = Rest(), int(rate / count)
    return [rest.after([size] * count, ahead, 100.0 + turn * count / rate) for turn in range(turns)]


def test_many_that_come_a_few_at_a_time_are_waited_for() -> None:
    """From the first look at the rate on."""
    answers = rests(5000, 5)
    assert answers[-1] == REST
    assert answers.index(REST) * 5 / 5000 <= 2 * SPAN


def test_those_that_come_seldom_are_handed_on_at_once() -> None:
    """Their latency counts, and their cost does not."""
    assert set(rests(BUSY * 0.9, 1)) == {0.0}


def test_many_at_a_time_are_enough() -> None:
    """A consumer alone at its queue must not wait for what is there."""
    assert set(rests(50_000, AHEAD // PART)) == {0.0}


@pytest.mark.parametrize(("count", "size"), [(14, 4096), (25, 400), (3, 4096), (1, 100_000)])
def test_a_few_that_are_large_are_many(count: int, size: int) -> None:
    """One `recv` takes no more of them, and the next ones are there."""
    assert set(rests(20_000, count, size=size)) == {0.0}


@pytest.mark.parametrize("ahead", [1, 10, PART - 1, 2 * PART - 1])
def test_a_short_prefetch_leaves_nothing_to_wait_for(ahead: int) -> None:
    """What came is all that comes before it is acknowledged."""
    assert set(rests(50_000, 1, ahead)) == {0.0}


def test_a_rest_does_not_hold_up_what_may_be_sent_ahead() -> None:
    """It ends long before the broker would have to wait: a rest at each turn lets more by than any core handles."""
    assert AHEAD / REST > 200_000


def test_what_comes_after_a_silence_is_handed_on_at_once() -> None:
    """The rate is of the time since, and not of the flow before it."""
    rest = Rest()
    flow = [rest.after([256] * 5, AHEAD, 100.0 + turn / 1000) for turn in range(100)]
    assert flow[-1] == REST
    assert rest.after([256], AHEAD, 105.0) == 0.0
