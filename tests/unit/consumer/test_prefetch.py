"""How a prefetch is earned."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.prefetch import BRIEF, BYTES, HELD, LONG, SHORT, SUSPECT, WARY, Prefetch

MOST = 1536
SMALL = 256


def short(most: int = MOST) -> Prefetch:
    """After its first delivery."""
    prefetch = Prefetch(most)
    prefetch.delivered(0, SMALL)
    return prefetch


def test_one_comes_first_then_a_short_one_then_all() -> None:
    """The steps are what is added."""
    prefetch = Prefetch(MOST)
    assert prefetch.count == 1
    assert prefetch.delivered(0, SMALL) == SHORT - 1
    prefetch.arrived([SMALL] * SHORT, 10.0)
    assert prefetch.settled(SHORT - 1, 10.1) == 0
    assert prefetch.settled(1, 10.1) == MOST - SHORT
    assert prefetch.count == MOST
    assert not prefetch.short


def test_a_handler_that_takes_long_keeps_what_it_can_settle_in_time() -> None:
    """And has another chance with each further SHORT."""
    prefetch = short()
    prefetch.arrived([SMALL] * SHORT, 10.0)
    assert prefetch.settled(SHORT, 10.1 + BRIEF) == 0
    prefetch.arrived([SMALL] * SHORT, 20.0)
    assert prefetch.settled(SHORT, 20.0 + BRIEF) == MOST - SHORT


def test_large_bodies_do_not_fill_the_memory() -> None:
    """Neither a first one that is very large, nor many that are rather large."""
    assert Prefetch(MOST).delivered(0, BYTES // SHORT + 1) == 0
    prefetch = short()
    prefetch.arrived([BYTES // MOST + 1] * SHORT, 10.0)
    assert prefetch.settled(SHORT, 10.1) == 0


def test_a_message_that_was_lost_often_lets_no_neighbour_come() -> None:
    """It may be what kills the process."""
    prefetch = Prefetch(MOST)
    assert prefetch.delivered(SUSPECT, SMALL) == 0
    assert prefetch.delivered(SUSPECT - 1, SMALL) == SHORT - 1


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
        steps += prefetch.delivered(losses, size)
        if prefetch.short:
            prefetch.arrived([size] * SHORT, now)
            steps += prefetch.settled(SHORT, now + seconds)
        assert steps == prefetch.count <= most


def wide() -> Prefetch:
    """Which was earned."""
    prefetch = short()
    prefetch.arrived([SMALL] * SHORT, 10.0)
    assert prefetch.settled(SHORT, 10.1) == MOST - SHORT
    return prefetch


def test_what_is_held_is_bounded_whatever_the_bodies_were_before() -> None:
    """A single body may be of any size, and after a narrowing half must have gone."""
    assert not Prefetch(MOST).too_large(HELD + 1)
    for prefetch in (short(), wide()):
        assert not prefetch.too_large(HELD)
        assert prefetch.too_large(HELD + 1)
        assert not prefetch.has_room(HELD)
        assert prefetch.has_room(HELD // 2)


def test_handlers_that_became_slow_lose_what_they_cannot_settle_soon() -> None:
    """They always had enough to do, and settled fewer than SHORT."""
    prefetch = wide()
    assert not prefetch.too_slow(1, MOST, 100.0)
    assert not prefetch.too_slow(SHORT - 3, MOST, 99.0 + LONG)
    assert not prefetch.too_slow(1, MOST, 100.0 + LONG)
    assert prefetch.too_slow(1, MOST, 101.0 + LONG)


def test_handlers_that_settle_enough_or_had_nothing_to_do_are_not_slow() -> None:
    """However long that lasts."""
    prefetch = wide()
    for seconds in range(100):
        assert not prefetch.too_slow(SHORT, MOST, 100.0 + seconds * LONG)
    assert not prefetch.too_slow(1, SHORT - 1, 10_000.0)
    assert not prefetch.too_slow(1, MOST, 20_000.0)
    few = short()
    assert not few.too_slow(1, SHORT, 1.0)
    assert not few.too_slow(1, SHORT, 2.0 + LONG)


def test_after_a_narrowing_not_all_are_sent_ahead_soon() -> None:
    """Messages that take turns would count a delivery at each."""
    prefetch = wide()
    prefetch.narrowed(100.0)
    assert prefetch.count == 1
    for now in (101.0, 100.0 + WARY):
        prefetch.delivered(0, SMALL)
        assert prefetch.count == SHORT
        prefetch.arrived([SMALL] * SHORT, now)
        assert prefetch.settled(SHORT, now + BRIEF / 2) == (MOST - SHORT if now > 101.0 else 0)
