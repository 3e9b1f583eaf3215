"""When a connection that does not confirm is given up."""

from common.stall import FULL, REFUSED, UNCONFIRMED, Stall


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
