"""What a subscription promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

from typing import Any
from unittest.mock import Mock

import pytest
from pika import BasicProperties, spec

from common.message import Message
from common.refusal import Kind, Refusal
from common.state import State
from consumer.delivery import Delivery
from consumer.prefetch import HELD
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
    subscription.unsettled.delivered(1, 1)
    assert not subscription.current(old)
    subscription.give_back(old, counted=True)
    subscription.acknowledge([1])
    assert len(subscription.unsettled) == 1


def test_a_loss_takes_all_that_is_unsettled_back(subscription: Subscription, lost: list[str]) -> None:
    """And the workers hear of it."""
    subscription.unsettled.delivered(1, 1)
    subscription.lost(Refusal(Kind.TCP, "gone"))
    assert len(subscription.unsettled) == 0
    assert lost == ["lost"]


def test_without_a_channel_there_is_nothing_to_cancel(subscription: Subscription) -> None:
    """The service does not wait for an answer."""
    subscription.cancel()
    assert not subscription.cancelled
    assert subscription.connection.reasons() == ["consumer: closed"]


def test_bodies_that_became_large_go_back_and_come_again_one_by_one(process: Loop) -> None:
    """What comes while it narrows needs no memory; it goes on when there is room, and after a stop never."""
    handed, cancelled = [], []
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    subscription = Subscription(process, settings, handed.extend, lambda: None, cancelled.append)
    channel: Any = Mock()
    subscription.connection.state, subscription.connection._channel = State.OPEN, channel
    subscription.opened(channel)
    arrive = channel.basic_consume.call_args.args[1]

    def answer(question: Mock) -> None:
        [*_, on_answer] = [*question.call_args.args, *question.call_args.kwargs.values()]
        on_answer("ok")

    def come(tag: int, body: bytes) -> None:
        arrive(channel, spec.Basic.Deliver("c", tag), BasicProperties(), body)

    quarter = bytes(HELD // 4)
    come(1, b"small")
    for tag in (2, 3, 4, 5):
        come(tag, quarter)
    process.turn(lambda: handed, "they are handed on")
    come(6, quarter)
    assert subscription.unsettled.size == HELD + 5
    subscription.acknowledge([1])
    channel.basic_ack.assert_not_called()
    answer(channel.basic_qos)
    answer(channel.basic_cancel)
    channel.basic_ack.assert_called_once_with(1, multiple=True)
    assert [(each.tag, each.message.body) for each in cancelled[0]] == [(6, b"")]
    consumers = channel.basic_consume.call_count
    subscription.resume()
    assert channel.basic_consume.call_count == consumers
    subscription.acknowledge([2, 3])
    subscription.resume()
    subscription.resume()
    assert channel.basic_consume.call_count == consumers + 1
    subscription.cancel()
    answer(channel.basic_qos)
    answer(channel.basic_cancel)
    assert subscription.cancelled
    subscription.resume()
    assert channel.basic_consume.call_count == consumers + 1


def test_a_stop_outlives_a_loss(subscription: Subscription) -> None:
    """Or it would consume on a new channel, and wait for the answer of the old one."""
    subscription.cancel()
    subscription.lost(Refusal(Kind.TCP, "gone"))
    channel = Mock()
    subscription.opened(channel)
    assert subscription.cancelled
    channel.basic_consume.assert_not_called()
