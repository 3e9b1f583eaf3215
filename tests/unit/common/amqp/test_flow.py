"""Window: how many messages may be unconfirmed now."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.amqp.flow import FULL, PAUSE_MAX, REFUSED, UNCONFIRMED, Stall, Window

SIZES = st.integers(1, 2000)


@given(SIZES)
def test_a_window_is_earned_by_one_confirm(size: int) -> None:
    """On each connection anew."""
    window = Window(size)
    for _ in range(2):
        window.opened()
        assert window.limit == 1
        window.confirmed(1)
        assert window.limit == size


@given(SIZES, st.integers(1, 50), st.lists(st.integers(1, 10), max_size=60))
def test_suspects_go_one_by_one_until_all_are_confirmed(size: int, suspects: int, confirms: list[int]) -> None:
    """One of them may be what closed the channel."""
    window = Window(size)
    window.lost(suspects)
    window.opened()
    for count in confirms:
        window.confirmed(count)
        suspects -= count
        assert window.limit == (1 if suspects > 0 else size)
        if suspects <= 0:
            break


@given(SIZES, st.integers(1, 100))
def test_a_nack_pauses_and_closes_the_window(size: int, nacks: int) -> None:
    """Never for longer than PAUSE_MAX, and the first one is news."""
    window = Window(size)
    window.confirmed(1)
    for number in range(nacks):
        assert window.nacked(100.0) == (number == 0)
        assert window.limit == 1
        assert not window.paused(100.0 + PAUSE_MAX)
    assert window.reason == "the queue is full"


@pytest.mark.parametrize("size", [1, 2, 1024])
def test_a_confirm_ends_every_reason_and_pauses_are_short_again(size: int) -> None:
    """Of a window of one as of any other; the next nack is news."""
    window = Window(size)
    for _ in range(10):
        window.nacked(0.0)
    window.confirmed(1)
    assert window.reason == ""
    assert window.nacked(100.0)
    assert not window.paused(100.2)


def test_the_reason_of_a_loss_is_told_until_something_is_confirmed() -> None:
    """Readiness shows it."""
    window = Window(1024)
    window.lost(0, "returned")
    window.opened()
    window.confirmed(0)
    assert window.reason == "returned"
    window.confirmed(1)
    assert window.reason == ""


def test_a_new_channel_ends_a_pause() -> None:
    """It may be another node."""
    window = Window(2)
    for _ in range(20):
        window.nacked(100.0)
    window.opened()
    assert not window.paused(100.0)


def test_a_message_is_waited_for_until_its_time_is_over() -> None:
    """Of nothing in flight, no wait is too long."""
    stall = Stall(30)
    assert stall.reason(129, 100, overtaken=False, alarm=False) is None
    assert stall.reason(131, 100, overtaken=False, alarm=False) is UNCONFIRMED
    assert stall.reason(131, None, overtaken=False, alarm=False) is None


def test_a_slow_broker_is_waited_for_while_it_goes_on() -> None:
    """The oldest message may be old: those before it are still being confirmed."""
    stall = Stall(30)
    stall.moved(150, refused=False)
    assert stall.reason(179, 100, overtaken=False, alarm=False) is None
    assert stall.reason(181, 100, overtaken=False, alarm=False) is UNCONFIRMED


def test_a_message_that_others_pass_is_not_forgotten() -> None:
    """However many confirms come for the others."""
    stall = Stall(30)
    stall.moved(130, refused=False)
    assert stall.reason(130, 100, overtaken=True, alarm=False) is None
    assert stall.reason(131, 100, overtaken=True, alarm=False) is UNCONFIRMED


def test_an_alarm_is_no_stall() -> None:
    """The time begins anew when it is over."""
    stall = Stall(30)
    assert stall.reason(200, 100, overtaken=True, alarm=True) is None
    assert stall.reason(229, 100, overtaken=True, alarm=False) is None
    assert stall.reason(231, 100, overtaken=True, alarm=False) is UNCONFIRMED


def test_a_channel_that_only_refuses_is_left_now_and_then() -> None:
    """The queue may have room again, and nobody has told this channel."""
    stall, quiet = Stall(30), {"sent_at": None, "overtaken": False, "alarm": False}
    for seconds in range(0, 170, 10):
        stall.moved(100 + seconds, refused=True)
        assert stall.reason(100 + seconds, **quiet) is None
    stall.moved(270, refused=False)
    stall.moved(275, refused=True)
    assert stall.reason(275 + FULL - 1, **quiet) is None, "one confirm begins it anew"
    assert stall.reason(275 + FULL + 1, **quiet) is REFUSED
    assert stall.reason(275 + FULL + 2, **quiet) is None, "the next channel has its time, too"


def test_a_channel_that_is_lost_takes_its_refusals_with_it() -> None:
    """While the next one is asked, and it takes long to come, nobody says that the queue is full."""
    stall = Stall(30)
    stall.moved(100, refused=True)
    stall.lost()
    assert stall.reason(100 + FULL + 1, None, overtaken=False, alarm=False) is None
