"""When the I/O thread rests."""

import pytest

from consumer.rest import BUSY, ENOUGH, IN_VAIN, LATE, LATE_REST, PART, REST, ROW, SPAN, Rest
from consumer.settings import ConsumerSettings

AHEAD = ConsumerSettings.model_fields["consumer_prefetch"].default


def rests(
    rate: float, count: int, *, ahead: int = AHEAD, size: int = 256, age: float | None = 0.1, window: int = 10**6
) -> list[float]:
    """What is answered in a second, while `rate` a second come, `count` at a time when nobody rests, `window` at most.

    What does not fit waits at the broker.
    """
    rest, now, came, answers = Rest(), 100.0, count, list[float]()
    while now < 101.0:
        answers.append(rest.after([size] * came, age, ahead, now))
        passed = count / rate + answers[-1]
        now += passed
        came = min(window, round(rate * passed))
    return answers


def test_many_that_come_a_few_at_a_time_are_waited_for() -> None:
    """From the first look at the rate on."""
    answers = rests(5000, 5)
    first = answers.index(REST)
    assert first * 5 / 5000 <= 2 * SPAN
    assert answers[first:].count(REST) / len(answers[first:]) >= ROW / (ROW + 1) - 0.01  # and one is left out


def test_those_that_come_seldom_are_handed_on_at_once() -> None:
    """Their latency counts, and their cost does not."""
    assert set(rests(BUSY * 0.9, 1, age=LATE)) == {0.0}


def test_a_rest_ends_when_enough_are_there() -> None:
    """By their rate; they are not waited for any longer."""
    assert max(rests(100_000, 50)) == pytest.approx((ENOUGH - 50) / 100_000, rel=0.1)


def test_those_that_are_late_already_may_come_later() -> None:
    """In a backlog their latency does not count; one that nobody dated is not taken for late."""
    assert max(rests(8_000, 5, age=LATE)) == pytest.approx((ENOUGH - 5) / 8_000, rel=0.1)
    assert max(rests(BUSY * 1.1, 1, age=LATE)) == LATE_REST
    assert max(rests(8_000, 5, age=LATE - 0.1)) == max(rests(8_000, 5, age=None)) == REST


def test_many_at_a_time_are_enough() -> None:
    """A consumer alone at its queue must not wait for what is there."""
    assert set(rests(50_000, ENOUGH, size=100, age=LATE)) == {0.0}


@pytest.mark.parametrize("age", [0.1, LATE])
@pytest.mark.parametrize(("rate", "window"), [(75_000, 108), (75_000, 40), (30_000, 30)])
def test_where_a_rest_brings_no_more_there_are_none(rate: float, window: int, age: float) -> None:
    """The sender's window is full behind each hand-over, and each rest would lower the rate that sets the next one."""
    answers = rests(rate, window, window=window, age=age)
    assert len(answers) * window >= 0.8 * rate
    assert 0.0 < sum(answers) <= 0.2  # 0.7 and more where it is not noticed


def test_it_is_tried_anew_whether_rests_bring_more() -> None:
    """A consumer that was alone is joined by others."""
    rest, now = Rest(), 100.0
    while now < 101.0:
        now += 0.001 + rest.after([256] * 50, 0.1, AHEAD, now)
    late = [rest.after([256] * 5, 0.1, AHEAD, now + turn / 1000) for turn in range(int(IN_VAIN * 1000) + ROW)]
    assert REST in late


@pytest.mark.parametrize(("count", "size"), [(14, 4096), (90, 400), (10, 4096), (1, 100_000)])
def test_a_few_that_are_large_are_many(count: int, size: int) -> None:
    """One `recv` takes no more of them, and the next ones are there."""
    assert set(rests(20_000, count, size=size, age=LATE)) == {0.0}


def test_the_default_prefetch_lets_enough_come() -> None:
    """Neither is raised without the other."""
    assert AHEAD // PART == ENOUGH


@pytest.mark.parametrize("ahead", [1, PART, 2 * PART - 1])
def test_a_short_prefetch_leaves_nothing_to_wait_for(ahead: int) -> None:
    """What came is all that comes before it is acknowledged."""
    assert set(rests(50_000, 1, ahead=ahead, age=LATE)) == {0.0}


@pytest.mark.parametrize("ahead", [64, 256, AHEAD, 2000])
def test_a_rest_does_not_hold_up_what_may_be_sent_ahead(ahead: int) -> None:
    """It ends long before all of that is there, at any rate and however late they are."""
    for rate in (BUSY * 1.1, 10_000, 100_000):
        assert max(rests(rate, 1, ahead=ahead, age=LATE)) * rate <= ahead / PART * 1.1


def test_what_comes_after_a_silence_is_handed_on_at_once() -> None:
    """The rate is of the time since, and not of the flow before it."""
    rest, now = Rest(), 100.0
    while rest.after([256] * 5, 0.1, AHEAD, now) != REST:
        now += 0.001
        assert now < 100.1
    assert rest.after([256], 0.1, AHEAD, 105.0) == 0.0
