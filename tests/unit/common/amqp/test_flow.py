"""How many messages may be unconfirmed, and how long a confirm may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.amqp import flow
from common.amqp.errors import BrokerError
from common.amqp.flow import (
    NACK_PAUSE_MAX_SECONDS,
    NOT_CONFIRMED,
    ONLY_NACKS_MAX_SECONDS,
    STILL_FULL,
    ConfirmWatchdog,
    Window,
)

SIZES = st.integers(1, 2000)


def test_a_new_window_lets_one_message_go_and_gives_no_reason() -> None:
    window = Window(5)
    assert (window.limit, window.reason, window.paused(0.0)) == (1, "", False)


@given(SIZES)
def test_a_window_is_opened_by_one_confirm_on_each_channel(size: int) -> None:
    window = Window(size)
    for _ in range(2):
        window.opened()
        assert window.limit == 1
        window.confirmed(0)
        assert window.limit == 1, "a confirm of nothing that is known opens nothing"
        window.confirmed(1)
        assert window.limit == size


@given(SIZES, st.integers(1, 50), st.lists(st.integers(1, 10), max_size=60))
def test_suspects_go_one_by_one_until_all_are_confirmed(size: int, suspects: int, confirms: list[int]) -> None:
    """One of the suspects may have closed the channel."""
    window = Window(size)
    window.lost(suspects)
    window.opened()
    for count in confirms:
        window.confirmed(count)
        suspects -= count
        assert window.limit == (1 if suspects > 0 else size)
        if suspects <= 0:
            break


def test_more_confirms_than_suspects_leave_none_for_the_next_channel() -> None:
    window = Window(5)
    window.lost(1)
    window.confirmed(3)
    window.opened()
    window.confirmed(1)
    assert window.limit == 5


def test_a_channel_without_suspects_forgets_those_of_the_channel_before() -> None:
    window = Window(5)
    window.lost(3)
    window.lost(0)
    window.confirmed(1)
    assert window.limit == 5


@given(SIZES, st.integers(1, 100))
def test_a_nack_pauses_and_closes_the_window(size: int, nacks: int) -> None:
    """At most for the bound, and only the first nack is logged."""
    window = Window(size)
    window.confirmed(1)
    for number in range(nacks):
        assert window.nacked(100.0) is (number == 0)
        assert window.limit == 1
        assert not window.paused(100.0 + NACK_PAUSE_MAX_SECONDS)
    assert window.reason == "the queue is full"


def test_pauses_grow_from_nack_to_nack(monkeypatch: pytest.MonkeyPatch) -> None:
    """At first 0.1 seconds on average, at most 5 seconds."""
    asked: list[tuple[int, float]] = []
    monkeypatch.setattr(flow, "full_jitter", lambda attempt, cap: asked.append((attempt, cap)) or 2.0)
    window = Window(5)
    for _ in range(3):
        window.nacked(100.0)
    assert asked == [(0, 5.0), (1, 5.0), (2, 5.0)]
    assert window.paused(101.9)
    assert not window.paused(102.0)


@pytest.mark.parametrize("size", [1, 2, 1024])
def test_a_confirm_ends_every_reason_and_pauses_are_short_again(size: int) -> None:
    """Also of a window of one message; the next nack is logged again."""
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
    window.nacked(1.0)
    window.lost(0)
    assert window.reason == "", "a loss without a reason has none"


def test_a_new_channel_ends_a_pause() -> None:
    """The channel may be on another node."""
    window = Window(2)
    for _ in range(20):
        window.nacked(100.0)
    window.opened()
    assert not window.paused(0.0)


def verdict(
    watchdog: ConfirmWatchdog, now: float, sent_at: float | None = None, *, overtaken: bool = False, alarm: bool = False
) -> BrokerError | None:
    return watchdog.verdict(now, sent_at, overtaken=overtaken, alarm=alarm)


def test_a_new_watchdog_knows_of_no_answer_and_no_alarm() -> None:
    assert verdict(ConfirmWatchdog(30), 30.5, 0.0) is NOT_CONFIRMED
    assert verdict(ConfirmWatchdog(30), 500.0) is None


@pytest.mark.parametrize("overtaken", [True, False])
def test_a_message_is_waited_for_until_its_time_is_over(overtaken: bool) -> None:
    """With nothing in flight, no wait is too long."""
    watchdog = ConfirmWatchdog(30)
    assert verdict(watchdog, 130, 100, overtaken=overtaken) is None
    assert verdict(watchdog, 130.1, 100, overtaken=overtaken) is NOT_CONFIRMED
    assert verdict(watchdog, 131, None, overtaken=overtaken) is None


def test_a_slow_broker_is_waited_for_while_it_confirms_or_refuses() -> None:
    """The oldest message may be old, while the broker still answers earlier ones."""
    for answer in (ConfirmWatchdog.confirmed, ConfirmWatchdog.nacked):
        watchdog = ConfirmWatchdog(30)
        answer(watchdog, 150)
        assert verdict(watchdog, 180, 100) is None
        assert verdict(watchdog, 180.1, 100) is NOT_CONFIRMED


def test_a_message_that_later_messages_overtake_is_not_forgotten() -> None:
    """However many confirms come for later messages."""
    watchdog = ConfirmWatchdog(30)
    watchdog.confirmed(130)
    assert verdict(watchdog, 130, 100, overtaken=True) is None
    assert verdict(watchdog, 131, 100, overtaken=True) is NOT_CONFIRMED


@pytest.mark.parametrize("overtaken", [True, False])
def test_the_time_begins_anew_after_an_alarm(overtaken: bool) -> None:
    watchdog = ConfirmWatchdog(30)
    assert verdict(watchdog, 200, 100, overtaken=overtaken, alarm=True) is None
    assert verdict(watchdog, 230, 100, overtaken=overtaken) is None
    assert verdict(watchdog, 231, 100, overtaken=overtaken) is NOT_CONFIRMED


def test_a_channel_that_only_nacks_is_given_up_after_180_seconds() -> None:
    """The queue may have room again, and RabbitMQ has not told this channel."""
    assert ONLY_NACKS_MAX_SECONDS == 180
    watchdog = ConfirmWatchdog(30)
    for seconds in range(0, 170, 10):
        watchdog.nacked(100 + seconds)
        assert verdict(watchdog, 100 + seconds) is None
    watchdog.confirmed(270)
    watchdog.nacked(275)
    assert verdict(watchdog, 275 + 180) is None, "one confirm begins it anew"
    assert verdict(watchdog, 275 + 181) is STILL_FULL
    assert verdict(watchdog, 275 + 182) is None, "the next channel has its time, too"


def test_nacks_count_from_the_first_one_also_at_time_zero() -> None:
    watchdog = ConfirmWatchdog(30)
    watchdog.nacked(0.0)
    watchdog.nacked(100.0)
    assert verdict(watchdog, 181) is STILL_FULL


def test_nacks_of_a_lost_channel_do_not_count() -> None:
    """While the next channel takes long to open, nobody says that the queue is full."""
    watchdog = ConfirmWatchdog(30)
    watchdog.nacked(100)
    watchdog.lost()
    assert verdict(watchdog, 100 + 181) is None


def test_the_verdicts_say_what_happens_next() -> None:
    assert str(NOT_CONFIRMED) == "no confirm in MQ_CONFIRM_TIMEOUT: what is unconfirmed is sent again"
    assert str(STILL_FULL) == "the queue has been full for 3m: it is asked anew on another connection"
