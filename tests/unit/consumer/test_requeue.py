"""What goes back, and how; with a broker it is in tests/broker/test_consuming.py."""

import time
from collections.abc import Callable
from functools import partial
from unittest.mock import Mock, call

import pytest

from common.amqp.topology import Topology
from common.message import Message
from consumer.delivery import SUSPECT, UNREAD, Delivery
from consumer.prefetch import SHORT_PREFETCH
from consumer.requeue import WAIT_FOR_HANDLERS_SECONDS, Requeue
from consumer.retry import RetryPublisher
from consumer.subscription import Subscription
from consumer.workers import Workers

MANY = SHORT_PREFETCH + 10


def delivery(tag: int, lost: int = 0) -> Delivery:
    return Delivery("channel", tag, Message(b"x", headers={"x-delivery-count": lost}), redelivered=True)


def tags(deliveries: list[Delivery]) -> list[int]:
    return [each.tag for each in deliveries]


@pytest.fixture
def workers() -> Workers:
    """Which never start."""
    return Workers(lambda _: None, 1, [], lambda: None)


@pytest.fixture
def subscription() -> Mock:
    return Mock(Subscription, unsettled=0, requeue_all=Mock())


@pytest.fixture
def retry() -> Mock:
    return Mock(RetryPublisher, totals={"handed_back": 0})


@pytest.fixture
def requeue(subscription: Mock, workers: Workers, retry: Mock) -> Requeue:
    return Requeue(subscription, workers, retry, Topology("jobs"))


def test_a_stop_requeues_all_in_one_frame_once_no_handler_runs(
    requeue: Requeue, workers: Workers, subscription: Mock, retry: Mock
) -> None:
    """And waits for what does."""
    workers.hand_over([delivery(2), delivery(3), delivery(4)])
    subscription.unsettled = 5
    requeue.on_stop([Delivery("channel", 5, UNREAD)])
    requeue.tick(time.monotonic())
    assert subscription.method_calls == []
    subscription.unsettled = 4
    requeue.tick(time.monotonic())
    requeue.tick(time.monotonic() + WAIT_FOR_HANDLERS_SECONDS)
    assert subscription.method_calls == [call.requeue_all()]
    assert workers.take_back() == []
    retry.publish.assert_not_called()
    assert len(requeue) == 0


def test_deliveries_are_requeued_one_by_one_while_a_handler_runs_on(
    requeue: Requeue, workers: Workers, subscription: Mock
) -> None:
    """The others go one by one, and cost nothing where that is possible."""
    waits = delivery(2)
    workers.hand_over([waits])
    subscription.unsettled = 2
    requeue.on_stop([])
    requeue.tick(time.monotonic() + WAIT_FOR_HANDLERS_SECONDS)
    assert subscription.method_calls == [call.requeue(waits, counted=False)]


def test_deliveries_wait_for_running_handlers_until_a_deadline(
    requeue: Requeue, workers: Workers, subscription: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.requeue.time", Mock(monotonic=lambda: 100.0))
    workers.hand_over([delivery(2)])
    subscription.unsettled = 2
    requeue.on_stop([])
    requeue.tick(100.0 + WAIT_FOR_HANDLERS_SECONDS * 0.99)
    assert subscription.method_calls == []
    requeue.tick(100.0 + WAIT_FOR_HANDLERS_SECONDS)
    assert len(subscription.method_calls) == 1


def test_a_narrowing_leaves_one_delivery_a_worker_and_those_near_the_limit(
    requeue: Requeue, workers: Workers, subscription: Mock
) -> None:
    """In their order; what is unread is never for a handler, however few the others are."""
    ahead = [delivery(tag, SUSPECT if tag == MANY else 0) for tag in range(1, MANY + 3)]
    subscription.unsettled = 1 + len(ahead)
    workers.hand_over(ahead)
    requeue.on_narrowing([Delivery("channel", 100, UNREAD)], workers.count)
    requeue.tick(0.0)  # whatever the clock says
    back = [given.args[0].tag for given in subscription.requeue.call_args_list]
    assert back == [*range(workers.count + 1, MANY), MANY + 1, MANY + 2, 100]
    assert tags(workers.take_back()) == [*range(1, workers.count + 1), MANY]
    workers.hand_over([delivery(101)])
    requeue.on_narrowing([Delivery("channel", 102, UNREAD)], workers.count)
    assert tags(workers.take_back()) == [101]


def test_an_outage_leaves_only_those_near_the_limit(requeue: Requeue, workers: Workers, subscription: Mock) -> None:
    """They would need a copy, which a full queue takes not."""
    workers.hand_over([delivery(1), delivery(2, SUSPECT), delivery(3)])
    subscription.unsettled = 4
    requeue.on_narrowing([], 0)
    requeue.tick(0.0)
    assert [given.args[0].tag for given in subscription.requeue.call_args_list] == [1, 3]
    assert tags(workers.take_back()) == [2]


@pytest.mark.parametrize("begin", [Requeue.on_stop, partial(Requeue.on_narrowing, keep=1)])
def test_deliveries_of_a_lost_channel_are_not_requeued(
    requeue: Requeue, subscription: Mock, begin: Callable[[Requeue, list[Delivery]], None]
) -> None:
    """The tags are another channel's then."""
    begin(requeue, [Delivery("channel", 1, UNREAD)])
    requeue.lost()
    requeue.tick(time.monotonic() + WAIT_FOR_HANDLERS_SECONDS)
    assert subscription.method_calls == []


def test_a_stop_requeues_deliveries_near_the_limit_as_copies(
    requeue: Requeue, workers: Workers, retry: Mock, subscription: Mock
) -> None:
    """Its count begins anew; the others go in one frame."""
    ahead = [delivery(tag, lost) for tag, lost in enumerate((0, SUSPECT - 2, SUSPECT - 1, 15))]
    workers.hand_over(ahead)
    requeue.on_stop([])
    [[copies]] = [given.args for given in retry.publish.call_args_list]
    assert [(copy.delivery.tag, copy.queue, copy.counts_as) for copy in copies] == [
        (2, "jobs", "handed_back"),
        (3, "jobs", "handed_back"),
    ]
    subscription.unsettled = 2
    requeue.tick(time.monotonic())
    assert subscription.method_calls == [call.requeue_all()]
    assert retry.totals == {"handed_back": 2}
