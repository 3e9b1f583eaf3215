"""What a subscription promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

from unittest.mock import Mock

import pytest

from common.message import Message
from common.refusal import Kind, Refusal
from consumer.delivery import Delivery
from consumer.settings import ConsumerSettings
from consumer.subscription import Subscription
from tests.unit.conftest import Loop


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def subscription(process: Loop, lost: list[str]) -> Subscription:
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    return Subscription(process, settings, lambda _: None, lambda: lost.append("lost"), lambda _: None)


def test_a_delivery_of_a_channel_that_is_gone_is_settled_by_nobody(subscription: Subscription) -> None:
    """Its tag would name another message on a new channel."""
    old = Delivery(object(), 1, Message(b"x"))
    subscription.unsettled.delivered(1)
    assert not subscription.current(old)
    subscription.give_back(old, counted=True)
    subscription.acknowledge([1])
    assert len(subscription.unsettled) == 1


def test_a_loss_takes_all_that_is_unsettled_back(subscription: Subscription, lost: list[str]) -> None:
    """And the workers hear of it."""
    subscription.unsettled.delivered(1)
    subscription.lost(Refusal(Kind.TCP, "gone"))
    assert len(subscription.unsettled) == 0
    assert lost == ["lost"]


def test_without_a_channel_there_is_nothing_to_cancel(subscription: Subscription) -> None:
    """The service does not wait for an answer."""
    subscription.cancel()
    assert not subscription.cancelled
    assert subscription.connection.reasons() == ["consumer: closed"]


def test_a_stop_outlives_a_loss(subscription: Subscription) -> None:
    """Or it would consume on a new channel, and wait for the answer of the old one."""
    subscription.cancel()
    subscription.lost(Refusal(Kind.TCP, "gone"))
    channel = Mock()
    subscription.opened(channel)
    assert subscription.cancelled
    channel.basic_consume.assert_not_called()
