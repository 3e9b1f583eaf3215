"""What goes back, and how; with a broker it is in tests/broker/test_consuming.py."""

import time
from collections.abc import Callable
from unittest.mock import Mock, call

import pytest

from common.message import Message
from consumer.delivery import UNREAD, Delivery
from consumer.prefetch import SHORT, SUSPECT
from consumer.requeue import WAIT, HandBack
from consumer.retry import Copier
from consumer.subscription import Subscription
from consumer.workers import Workers

MANY = SHORT + 10


def delivery(tag: int, lost: int = 0) -> Delivery:
    return Delivery("channel", tag, Message(b"x", headers={"x-delivery-count": lost}))


def tags(deliveries: list[Delivery]) -> list[int]:
    return [each.tag for each in deliveries]


@pytest.fixture
def workers() -> Workers:
    """Which never start."""
    return Workers(lambda _: None, 1, [], lambda: None)


@pytest.fixture
def subscription() -> Mock:
    return Mock(Subscription, unsettled=[], give_back_all=Mock())


@pytest.fixture
def hand_back(subscription: Mock, workers: Workers) -> HandBack:
    copier = Mock(Copier, totals={"handed_back": 0})
    copier.refresh.side_effect = lambda deliveries: deliveries
    return HandBack(subscription, workers, copier)


def test_a_stop_hands_all_back_in_one_frame_once_nothing_runs(
    hand_back: HandBack, workers: Workers, subscription: Mock
) -> None:
    """And waits for what does."""
    workers.hand_over([delivery(2), delivery(3), delivery(4)])
    subscription.unsettled = [1, 2, 3, 4, 5]
    hand_back.all([Delivery("channel", 5, UNREAD)])
    hand_back.tick(time.monotonic())
    assert subscription.method_calls == []
    subscription.unsettled = [2, 3, 4, 5]
    hand_back.tick(time.monotonic())
    hand_back.tick(time.monotonic() + WAIT)
    assert subscription.method_calls == [call.give_back_all()]
    assert workers.take_back() == []
    assert len(hand_back) == 0


def test_a_handler_that_runs_on_is_not_waited_for_long(
    hand_back: HandBack, workers: Workers, subscription: Mock
) -> None:
    """The others go one by one, and cost nothing where that is possible."""
    waits = delivery(2)
    workers.hand_over([waits])
    subscription.unsettled = [1, 2]
    hand_back.all([])
    hand_back.tick(time.monotonic() + WAIT)
    assert subscription.method_calls == [call.give_back(waits, counted=False)]


def test_less_sent_ahead_leaves_the_next_ones_and_all_that_would_go_as_copies(
    hand_back: HandBack, workers: Workers, subscription: Mock
) -> None:
    """In their order; what is unread is never for a handler, however few the others are."""
    ahead = [delivery(tag, SUSPECT if tag == MANY else 0) for tag in range(1, MANY + 3)]
    subscription.unsettled = [0, *tags(ahead)]
    workers.hand_over(ahead)
    hand_back.most([Delivery("channel", 100, UNREAD)])
    hand_back.tick(time.monotonic())
    back = [given.args[0].tag for given in subscription.give_back.call_args_list]
    assert back == [*range(workers.count + 1, MANY), MANY + 1, MANY + 2, 100]
    assert tags(workers.take_back()) == [*range(1, workers.count + 1), MANY]
    workers.hand_over([delivery(101)])
    hand_back.most([Delivery("channel", 102, UNREAD)])
    assert tags(workers.take_back()) == [101]


@pytest.mark.parametrize("begin", [HandBack.all, HandBack.most])
def test_a_loss_hands_all_back_by_itself(
    hand_back: HandBack, subscription: Mock, begin: Callable[[HandBack, list[Delivery]], None]
) -> None:
    """The tags are another channel's then."""
    begin(hand_back, [Delivery("channel", 1, UNREAD)])
    hand_back.lost()
    hand_back.tick(time.monotonic() + WAIT)
    assert subscription.method_calls == []
