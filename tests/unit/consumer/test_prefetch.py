"""How a prefetch is earned."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery import SUSPECT
from consumer.prefetch import (
    CAUTION_SECONDS,
    FIRST_STEP_WITHIN,
    LAST_STEP_WITHIN,
    MAX_AHEAD_BYTES,
    MIN_HANDLED,
    REOPEN_AFTER_SECONDS,
    SHORT_PREFETCH,
    WATCH_SECONDS,
    Prefetch,
)
from consumer.settings import ConsumerSettings

MOST = ConsumerSettings.model_fields["consumer_prefetch"].default
SMALL = 256
TIMEOUT = 1800.0  # seconds; the broker's `consumer_timeout`


def short(most: int = MOST, handlers: int = 1) -> Prefetch:
    """After the first deliveries, which were settled soon."""
    prefetch = Prefetch(most, handlers)
    prefetch.delivered(0, SMALL)
    prefetch.arrived([SMALL] * handlers, 1.0)
    prefetch.handled(handlers, 0, 1.0)
    return prefetch


def test_a_prefetch_grows_from_one_to_short_to_all() -> None:
    """The steps are what is added."""
    prefetch = Prefetch(MOST)
    assert prefetch.count == 1
    assert prefetch.delivered(0, SMALL) == 0
    prefetch.arrived([SMALL], 5.0)
    assert prefetch.handled(1, 0, 5.0 + FIRST_STEP_WITHIN) == SHORT_PREFETCH - 1
    prefetch.arrived([SMALL] * SHORT_PREFETCH, 10.0)
    assert prefetch.growing
    assert prefetch.handled(SHORT_PREFETCH - 1, 0, 10.1) == 0
    assert prefetch.handled(1, 0, 10.1) == MOST - SHORT_PREFETCH
    assert prefetch.count == MOST
    assert not prefetch.growing


def test_each_handler_has_one_delivery_at_once_and_more_when_each_has_settled_one() -> None:
    """Nothing waits behind them before, so however long they take."""
    prefetch = Prefetch(MOST, 8)
    assert prefetch.delivered(0, SMALL) == 7
    prefetch.arrived([SMALL] * 8, 10.0)
    assert prefetch.handled(7, 0, 10.1) == 0
    assert prefetch.handled(1, 0, 10.2 + FIRST_STEP_WITHIN) == 0
    prefetch.arrived([SMALL] * 8, 20.0)
    assert prefetch.handled(8, 0, 20.0 + FIRST_STEP_WITHIN) == SHORT_PREFETCH - 8
    assert prefetch.handled(8, 0, 20.0 + FIRST_STEP_WITHIN) == 0


def test_each_of_many_handlers_has_one_delivery_however_short_the_prefetch_is() -> None:
    """They would stand idle."""
    for most, count in ((MOST, 2 * SHORT_PREFETCH), (10, 10)):
        prefetch = Prefetch(most, 2 * SHORT_PREFETCH)
        prefetch.delivered(0, SMALL)
        prefetch.arrived([SMALL] * count, 10.0)
        assert prefetch.handled(0, 2 * SHORT_PREFETCH, 10.0) == 0
        assert prefetch.count == count


def test_a_slow_handler_keeps_a_short_prefetch() -> None:
    """And has another chance with each further SHORT_PREFETCH."""
    prefetch = short()
    prefetch.arrived([SMALL] * SHORT_PREFETCH, 10.0)
    assert prefetch.handled(SHORT_PREFETCH, 0, 10.1 + LAST_STEP_WITHIN) == 0
    prefetch.arrived([SMALL] * SHORT_PREFETCH, 20.0)
    assert prefetch.handled(SHORT_PREFETCH, 0, 20.0 + LAST_STEP_WITHIN) == MOST - SHORT_PREFETCH


def test_failures_earn_the_short_prefetch_and_not_all() -> None:
    """Each failed one is published again, which a long prefetch would not make any quicker."""
    prefetch = Prefetch(MOST)
    prefetch.delivered(0, SMALL)
    prefetch.arrived([SMALL], 5.0)
    assert prefetch.handled(0, 1, 5.0) == SHORT_PREFETCH - 1
    prefetch.arrived([SMALL] * SHORT_PREFETCH, 10.0)
    assert prefetch.handled(SHORT_PREFETCH - 1, SHORT_PREFETCH, 10.1) == 0
    assert prefetch.handled(1, 0, 10.1) == MOST - SHORT_PREFETCH


def test_large_bodies_do_not_fill_the_memory() -> None:
    """Neither a first one that is very large, nor many that are rather large."""
    assert Prefetch(MOST, 8).delivered(0, MAX_AHEAD_BYTES // 8 + 1) == 7 - 1
    assert (
        Prefetch(MOST, 8).delivered(0, MAX_AHEAD_BYTES // 2 + 1)
        == Prefetch(MOST, 8).delivered(0, MAX_AHEAD_BYTES * 2)
        == 0
    )
    prefetch = Prefetch(MOST)
    prefetch.delivered(0, MAX_AHEAD_BYTES // SHORT_PREFETCH + 1)
    prefetch.arrived([MAX_AHEAD_BYTES // SHORT_PREFETCH + 1], 10.0)
    assert prefetch.handled(1, 0, 10.1) == 0
    prefetch = short()
    prefetch.arrived([MAX_AHEAD_BYTES // MOST + 1] * SHORT_PREFETCH, 10.0)
    assert prefetch.handled(SHORT_PREFETCH, 0, 10.1) == 0


def test_bodies_of_32_kib_are_small() -> None:
    """All are sent ahead of those."""
    prefetch = short()
    prefetch.arrived([32 * 1024] * SHORT_PREFETCH, 10.0)
    assert prefetch.handled(SHORT_PREFETCH, 0, 10.1) == MOST - SHORT_PREFETCH


def test_a_message_that_was_lost_often_lets_no_neighbour_come() -> None:
    """It may be what kills the process."""
    prefetch = Prefetch(MOST, 8)
    assert prefetch.delivered(SUSPECT, SMALL) == 0
    for handled in (1, 2):
        prefetch.arrived([SMALL] * 8, 10.0 * handled)
        assert prefetch.handled(8, 0, 10.0 * handled) == 0
    assert prefetch.delivered(SUSPECT - 1, SMALL) == 7


def test_while_lost_messages_come_no_more_is_sent_ahead_than_handlers_begin_with() -> None:
    """Each loss counts against the delivery limit, also of those that nobody began with."""
    prefetch = Prefetch(MOST, 8)
    assert prefetch.delivered(1, SMALL) == 7
    for lost in (8, 1):
        prefetch.arrived([SMALL] * 8, 10.0, lost)
        assert prefetch.handled(8, 0, 10.0) == 0
    prefetch.arrived([SMALL] * 8, 10.0)
    assert prefetch.handled(8, 0, 10.0) == SHORT_PREFETCH - 8


def test_who_lives_on_with_lost_messages_is_quick_again() -> None:
    """After a crash there may be thousands, and one at a time takes a round trip for each."""
    prefetch = Prefetch(MOST, 8)
    prefetch.delivered(1, SMALL)
    prefetch.arrived([SMALL] * 8, 10.0, 8)
    assert prefetch.handled(8, 0, 10.0) == 0
    prefetch.arrived([SMALL] * 8, 10.0 + CAUTION_SECONDS - 0.01, 8)
    assert prefetch.handled(8, 0, 15.0) == 0
    prefetch.arrived([SMALL] * 8, 10.0 + CAUTION_SECONDS, 8)
    assert prefetch.handled(8, 0, 15.0) == SHORT_PREFETCH - 8
    prefetch.opened()
    prefetch.delivered(1, SMALL)
    prefetch.arrived([SMALL] * 8, 15.0, 8)
    assert prefetch.handled(8, 0, 15.0) == 0, "a new channel begins anew"


def test_a_new_channel_begins_anew() -> None:
    """With one."""
    prefetch = short()
    prefetch.opened()
    assert prefetch.count == 1


@given(st.integers(1, 200), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**6), st.floats(0, 3))))
def test_the_steps_add_up_and_never_pass_the_most(most: int, turns: list[tuple[int, int, float]]) -> None:
    """Whatever comes."""
    prefetch, now, steps = Prefetch(most), 1.0, 1
    for losses, size, seconds in turns:
        now += seconds
        steps += prefetch.delivered(losses, size) if prefetch.count == 1 else 0
        if prefetch.growing:
            prefetch.arrived([size] * SHORT_PREFETCH, now)
            steps += prefetch.handled(SHORT_PREFETCH, 0, now + seconds)
        assert steps == prefetch.count <= most


def too_slow(prefetch: Prefetch, ended: int, waiting: int, now: float) -> bool:
    """The answer after so many handlers ended well."""
    prefetch.finished += ended
    return prefetch.too_slow(waiting, now)


def wide() -> Prefetch:
    """Which was earned."""
    prefetch = short()
    prefetch.arrived([SMALL] * SHORT_PREFETCH, 10.0)
    assert prefetch.handled(SHORT_PREFETCH, 0, 10.1) == MOST - SHORT_PREFETCH
    return prefetch


def test_handlers_that_became_slow_lose_the_long_prefetch() -> None:
    """They always had enough to do, and settled fewer than SHORT_PREFETCH."""
    prefetch = wide()
    assert not too_slow(prefetch, 1, MOST, 100.0)
    assert not too_slow(prefetch, SHORT_PREFETCH - 3, MOST, 99.0 + WATCH_SECONDS)
    assert not too_slow(prefetch, 1, MOST, 100.0 + WATCH_SECONDS)
    assert too_slow(prefetch, 1, MOST, 101.0 + WATCH_SECONDS)


def test_handlers_that_settle_enough_or_had_nothing_to_do_are_not_slow() -> None:
    """However long that lasts."""
    prefetch = wide()
    for seconds in range(100):
        assert not too_slow(prefetch, SHORT_PREFETCH, MOST, 100.0 + seconds * WATCH_SECONDS)
    assert not too_slow(prefetch, 1, SHORT_PREFETCH - 1, 10_000.0)
    assert not too_slow(prefetch, 1, MOST, 20_000.0)
    few = short()
    for seconds in range(100):
        assert not too_slow(few, MIN_HANDLED, SHORT_PREFETCH, 100.0 + seconds * (WATCH_SECONDS + 0.1) / 2)
    assert not too_slow(few, 1, 0, 10_000.0)
    assert not too_slow(few, 1, SHORT_PREFETCH, 20_000.0)
    each = Prefetch(MOST, 2 * SHORT_PREFETCH)
    each.delivered(0, SMALL)
    assert not too_slow(each, 1, 2 * SHORT_PREFETCH, 1.0)
    assert not too_slow(each, 1, 2 * SHORT_PREFETCH, 1000.0)


def test_a_prefetch_is_lost_when_no_handler_ends_any_more() -> None:
    """They were quick before, so most was sent ahead."""
    prefetch = wide()
    for tick in range(int(WATCH_SECONDS * 10) + 2):
        assert not prefetch.too_slow(MOST - 1, 100.0 + tick / 10) or tick > WATCH_SECONDS * 10
    assert prefetch.too_slow(MOST - 1, 100.0 + 3 * WATCH_SECONDS)


def test_handlers_that_settle_hardly_any_lose_even_a_short_prefetch() -> None:
    """A hand-over of many at a time, after a long while, is no other rate."""
    prefetch = short(handlers=8)
    assert not too_slow(prefetch, 8, SHORT_PREFETCH, 100.0)
    assert too_slow(prefetch, 1, SHORT_PREFETCH, 400.0)


def test_a_prefetch_may_grow_again_exactly_when_the_pause_is_over() -> None:
    prefetch = wide()
    prefetch.narrowed(0.0)
    prefetch.delivered(0, SMALL)
    prefetch.arrived([SMALL], 0.5)
    prefetch.handled(1, 0, 0.5)
    prefetch.arrived([SMALL] * SHORT_PREFETCH, REOPEN_AFTER_SECONDS)
    assert prefetch.handled(SHORT_PREFETCH, 0, REOPEN_AFTER_SECONDS) == MOST - SHORT_PREFETCH


def test_a_new_prefetch_pauses_for_nothing() -> None:
    """A clock may begin at 0 with the machine."""
    prefetch = Prefetch(MOST)
    prefetch.delivered(0, SMALL)
    prefetch.arrived([SMALL], 0.1)
    prefetch.handled(1, 0, 0.1)
    prefetch.arrived([SMALL] * SHORT_PREFETCH, 0.2)
    assert prefetch.handled(SHORT_PREFETCH, 0, 0.2) == MOST - SHORT_PREFETCH


def test_failures_and_successes_earn_the_short_prefetch_together() -> None:
    prefetch = Prefetch(MOST, 8)
    prefetch.delivered(0, SMALL)
    prefetch.arrived([SMALL] * 8, 1.0)
    assert prefetch.handled(5, 3, 1.1) == SHORT_PREFETCH - 8


def test_a_new_channel_trusts_no_message_yet() -> None:
    """Its first may be the one that kills the process."""
    prefetch = short()
    prefetch.opened()
    prefetch.arrived([SMALL], 10.0)
    assert prefetch.handled(1, 0, 10.0) == 0


@pytest.mark.parametrize(("long", "waiting"), [(False, 1), (True, SHORT_PREFETCH)])
def test_handlers_are_watched_from_the_first_moment_in_which_enough_waits(long: bool, waiting: int) -> None:
    for prefetch, slow in ((wide() if long else short(), True), (wide() if long else short(), False)):
        assert not prefetch.too_slow(waiting, 1.0)
        if not slow:
            assert not prefetch.too_slow(waiting - 1, 2.0)
        assert not prefetch.too_slow(waiting, 1.0 + WATCH_SECONDS)
        assert prefetch.too_slow(waiting, 1.1 + WATCH_SECONDS) is slow


@pytest.mark.parametrize(("most", "growing"), [(1, False), (2, True), (MOST, True)])
def test_a_prefetch_of_one_has_nothing_to_grow_to(most: int, growing: bool) -> None:
    assert Prefetch(most).growing is growing


def test_handlers_that_ended_before_the_watch_do_not_count() -> None:
    prefetch = wide()
    prefetch.finished = 1000
    assert not prefetch.too_slow(MOST, 100.0)
    assert too_slow(prefetch, SHORT_PREFETCH, MOST, 100.1 + WATCH_SECONDS)


def held(handlers: int, seconds: list[float], changes: float) -> tuple[float, float, int]:
    """The longest that a delivery is held and that a handler stands idle, and the narrowings; the queue never ends.

    Handlers take the `seconds` one after the other for as long as `changes` says, each a little longer than the one
    before it or a little shorter.
    """
    prefetch, now, longest, idle = Prefetch(MOST, handlers), 1.0, 0.0, 0.0
    waiting: list[float] = []  # when each came
    running: list[tuple[float, float]] = []  # when it ends, when it came
    free: list[float] = [now] * handlers  # since when each idle handler is
    number = narrowings = 0
    others = 0  # came before the last narrowing and are not settled, which count no more

    def fill() -> None:
        nonlocal number, idle
        while len(waiting) + len(running) - others < prefetch.count:
            waiting.append(now)
            if prefetch.growing:
                prefetch.arrived([SMALL], now)
            if prefetch.count == 1:
                prefetch.delivered(0, SMALL)
        while waiting and free:
            idle = max(idle, now - free.pop())
            number += 1
            takes = seconds[int(now / changes) % len(seconds)] * (1 + number % 7 / 50)
            heapq.heappush(running, (now + takes, waiting.pop(0)))

    while now < 4 * TIMEOUT and number < 20_000:
        fill()
        now, came = heapq.heappop(running)
        free.append(now)
        longest = max(longest, now - came)
        others = max(0, others - 1)
        if too_slow(prefetch, 1, len(waiting), now):
            del waiting[handlers:]
            others = len(waiting) + len(running)
            prefetch.narrowed(now)
            narrowings += 1
    return longest, idle, narrowings


@pytest.mark.parametrize("handlers", [1, 2, 8, 60, 64, 100, 256])
@pytest.mark.parametrize(
    "seconds",
    [
        [0.05],
        [1.0],
        [4.9],
        [6.0],
        [12.0],
        [30.0],
        [60.0],
        [300.0],
        [0.05, 60.0],
        [0.3, 300.0],
        [3.0, 600.0],
        [300.0, 0.1],
    ],
)
def test_no_delivery_is_held_until_consumer_timeout(handlers: int, seconds: list[float]) -> None:
    """Whatever the handlers take, also when that changes: else it would come again, though nothing failed."""
    longest, idle, narrowings = held(handlers, seconds, 400.0)
    assert longest < TIMEOUT * 0.75
    assert idle == 0.0
    assert not narrowings or len(seconds) > 1


def test_a_narrowed_prefetch_does_not_grow_to_all_soon() -> None:
    """Messages that take turns would count a delivery at each."""
    prefetch = wide()
    prefetch.narrowed(100.0)
    assert prefetch.count == 1
    prefetch.delivered(0, SMALL)
    prefetch.arrived([SMALL], 100.5)
    assert prefetch.handled(1, 0, 100.5) == SHORT_PREFETCH - 1
    for now, step in (
        (101.0, 0),
        (100.0 + REOPEN_AFTER_SECONDS, 0),
        (101.0 + REOPEN_AFTER_SECONDS, MOST - SHORT_PREFETCH),
    ):  # in the second, what came before
        assert prefetch.count == SHORT_PREFETCH
        prefetch.arrived([SMALL] * SHORT_PREFETCH, now)
        assert prefetch.handled(SHORT_PREFETCH, 0, now + LAST_STEP_WITHIN / 2) == step


def test_a_single_consumer_gets_all_at_once_and_after_a_narrowing_one_for_each_handler() -> None:
    """It cannot be widened by another."""
    prefetch = short(handlers=4)
    prefetch.single()
    prefetch.narrowed(1.0)
    assert (prefetch.count, prefetch.growing) == (MOST, False)
    prefetch.opened()
    assert prefetch.count == MOST
    prefetch.narrowed(2.0)
    assert (prefetch.count, prefetch.growing) == (4, False)
    prefetch.single(known=False)
    prefetch.narrowed(3.0)
    assert (prefetch.count, prefetch.growing) == (1, True)
