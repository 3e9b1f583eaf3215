"""How a prefetch is earned."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.prefetch import BRIEF, BYTES, SHORT, SUSPECT, Prefetch

MOST = 1024
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
