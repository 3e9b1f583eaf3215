"""When the I/O thread rests."""

import pytest

from consumer.rest import BUSY, BYTES, ENOUGH, LATE, LATE_REST, PART, REST, SPAN, Rest
from consumer.settings import ConsumerSettings

AHEAD = ConsumerSettings.model_fields["consumer_prefetch"].default


def nothing() -> int:
    return 0


def rests(rate: float, count: int, *, ahead: int = AHEAD, size: int = 256, age: float | None = 0.1) -> list[float]:
    """What is answered in a second, while `count` come at a time, `rate` a second."""
    rest, turns = Rest(), int(rate / count)
    return [rest.after([size] * count, age, ahead, nothing, 100.0 + turn * count / rate) for turn in range(turns)]


def test_many_that_come_a_few_at_a_time_are_waited_for() -> None:
    """From the first look at the rate on."""
    answers = rests(5000, 5)
    assert answers[-1] == REST
    assert answers.index(REST) * 5 / 5000 <= 2 * SPAN


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
@pytest.mark.parametrize("windows", [(108,), (108, 160), (40, 108, 190)])
def test_where_the_window_is_full_a_rest_would_bring_no_more(windows: tuple[int, ...], age: float) -> None:
    """Each would lower the rate, and so make the next one longer: a fifth of the rate and less was left."""
    rest, now, handled, rested = Rest(), 100.0, 0, 0.0
    while now < 101.0:
        for count in windows:
            seconds = rest.after([256] * count, age, AHEAD, lambda: BYTES, now)
            now += count / 75_000 + seconds
            handled, rested = handled + count, rested + seconds
    assert rested == 0.0
    assert handled >= 74_000


def test_a_few_that_wait_are_few_still() -> None:
    """They, and those that come with them a little later, are read together."""
    rest, now = Rest(), 100.0
    answers = [rest.after([256] * 5, 0.1, AHEAD, lambda: BYTES - 1, now + turn / 1000) for turn in range(200)]
    assert answers[-1] == REST


def test_what_waits_is_not_asked_for_where_there_is_no_rest_anyway() -> None:
    """It is a call of the system, and a consumer alone at its queue makes thousands of hand-overs a second."""
    rest, asked = Rest(), list[bool]()

    def asks() -> int:
        asked.append(True)
        return 0

    for turn in range(1000):
        rest.after([100] * ENOUGH, LATE, AHEAD, asks, 100.0 + turn / 1000)
    assert asked == []


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
    while rest.after([256] * 5, 0.1, AHEAD, nothing, now) != REST:
        now += 0.001
        assert now < 100.1
    assert rest.after([256], 0.1, AHEAD, nothing, 105.0) == 0.0
