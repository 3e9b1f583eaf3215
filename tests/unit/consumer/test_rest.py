"""When the I/O thread rests."""

from collections.abc import Callable
from itertools import count as counter

import pytest

from consumer.rest import BUFFERED, BUSY, BYTES, ENOUGH, IN_VAIN, LATE, LATE_REST, PART, REST, SPAN, TRUSTED, Rest
from consumer.settings import ConsumerSettings

AHEAD = ConsumerSettings.model_fields["consumer_prefetch"].default


class Asked(Rest):
    """Says how long each rest was."""

    def __init__(self, buffered: Callable[[], int] | None = None) -> None:
        """More comes all the time, unless `buffered` says how much there is."""
        self.parts: list[float] = []
        super().__init__(self.parts.append, buffered or counter().__next__)

    def answer(self, sizes: list[int], age: float | None, ahead: int, now: float) -> float:
        """Seconds that were rested."""
        self.parts.clear()
        self.after(sizes, age, ahead, now)
        return sum(self.parts)


def rests(rate: float, count: int, *, ahead: int = AHEAD, size: int = 256, age: float | None = 0.1) -> list[float]:
    """What is rested in a second, while `count` come at a time, `rate` a second."""
    rest, turns = Asked(), int(rate / count)
    return [rest.answer([size] * count, age, ahead, 100.0 + turn * count / rate) for turn in range(turns)]


class Line:
    """Where deliveries come in, in a time of its own: with `window` at most between two looks, `trip` seconds behind.

    Without a window they come at `rate`, as where others share the queue.
    """

    WIRE = 400  # bytes of a delivery
    HANDLED = 75_000  # a second

    def __init__(self, *, window: int = 0, trip: float = 0.0, rate: float = 0.0, age: float = LATE) -> None:
        self.now, self.turns, self.handled, self.rested = 100.0, 0, 0, 0.0
        self._window, self._trip, self._rate, self._age = window, trip, rate, age
        self._free_at = self.now
        self.rest = Rest(self._sleep, lambda: self._there() * self.WIRE)

    def run(self, seconds: float, *, resting: bool = True) -> int:
        """How many were handled in that time."""
        before, end = self.handled, self.now + seconds
        while self.now < end:
            if not self._there():
                self.now += 0.00005
                continue
            count = min(160, self._there())
            self._free_at = self.now if self._window else self._free_at + count / self._rate
            self.now += count / self.HANDLED
            self.handled, self.turns = self.handled + count, self.turns + 1
            if resting:
                self.rest.after([256] * count, self._age, AHEAD, self.now)
        return self.handled - before

    def share(self, rate: float) -> None:
        """Others join."""
        self._window, self._rate, self._free_at = 0, rate, self.now

    def _there(self) -> int:
        passed = self.now - self._free_at
        return (passed >= self._trip) * self._window if self._window else int(passed * self._rate + 1e-6)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.rested += seconds


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
@pytest.mark.parametrize("trip", [0.0001, 0.001, 0.003])
@pytest.mark.parametrize("window", [20, 60, 108])
def test_there_are_none_where_they_bring_no_more(window: int, trip: float, age: float) -> None:
    """A full window of TCP is all that comes, and each rest would lower the rate that sets the next one."""
    handled = Line(window=window, trip=trip, age=age).run(5.0)
    assert handled >= 0.85 * Line(window=window, trip=trip).run(5.0, resting=False)


def test_it_is_tried_anew_whether_they_bring_more() -> None:
    """A consumer that was alone is joined by others."""
    line = Line(window=60, trip=0.001)
    line.run(5.0)
    line.share(5000)
    line.run(5.0)  # it gave up for less
    before = line.rested
    line.run(1.0)
    assert line.rested - before >= 0.9


@pytest.mark.parametrize("rate", [2500, 5000, 10_000])
def test_those_who_share_a_queue_get_many_at_a_time(rate: float) -> None:
    """Also where more comes at the end of some rests only."""
    line = Line(rate=rate)
    line.run(1.0)
    before = line.turns
    handled = line.run(5.0)
    assert handled / (line.turns - before) >= 0.4 * ENOUGH


def test_a_few_in_vain_are_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have had their turn."""
    monkeypatch.setattr("consumer.rest.TRUSTED", 0)
    sizes = [0] * 3 * (IN_VAIN - 1) + [0, 0, 1]  # before it, after three quarters, and at its end
    rest, asked = Asked(lambda: sizes[next(asked) % len(sizes)]), counter()
    answers = [rest.answer([256] * 5, 0.1, AHEAD, 100.0 + turn / 1000) for turn in range(1000)]
    assert set(answers[answers.index(REST) :]) == {REST}


def test_one_that_pays_stands_for_those_behind_it() -> None:
    """To watch one costs two more calls of the system and a wake-up."""
    rest = Asked()
    parts = [(rest.answer([256] * 5, LATE, AHEAD, 100.0 + turn / 1000), len(rest.parts))[1] for turn in range(1000)]
    first = parts.index(2)
    assert set(parts[:first]) == {0}
    assert parts[first:] == (([2] + [1] * TRUSTED) * len(parts))[: len(parts) - first]


@pytest.mark.parametrize("windows", [(108,), (108, 160), (40, 108, 190)])
def test_where_many_wait_already_there_is_none(windows: tuple[int, ...]) -> None:
    """They are all that the window lets through: nothing comes before they are read."""
    rest, rested = Asked(lambda: BUFFERED), 0.0
    for turn in range(1000):
        for count in windows:
            rested += rest.answer([256] * count, LATE, AHEAD, 100.0 + turn / 500)
    assert rested == 0.0


def test_a_few_that_wait_are_few_still() -> None:
    """They, and those that come with them a little later, are read together."""
    rest = Asked(lambda: BUFFERED - 1)
    assert REST in [rest.answer([256] * 5, 0.1, AHEAD, 100.0 + turn / 1000) for turn in range(60)]


def test_what_waits_is_not_asked_for_where_there_is_no_rest_anyway() -> None:
    """It is a call of the system, and a consumer alone at its queue makes thousands of hand-overs a second."""
    asked: list[int] = []
    rest = Asked(lambda: asked.append(1) or 0)
    for turn in range(1000):
        rest.after([100] * ENOUGH, LATE, AHEAD, 100.0 + turn / 1000)
        rest.after([BYTES], LATE, AHEAD, 100.0005 + turn / 1000)
    assert asked == []


@pytest.mark.parametrize(("count", "size"), [(14, 4096), (90, 456), (10, 4096), (1, 100_000)])
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
    rest, now = Asked(), 100.0
    while rest.answer([256] * 5, 0.1, AHEAD, now) != REST:
        now += 0.001
        assert now < 100.1
    assert rest.answer([256], 0.1, AHEAD, 105.0) == 0.0
