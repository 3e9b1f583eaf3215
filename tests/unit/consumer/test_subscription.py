"""What a subscription promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

from typing import Any
from unittest.mock import Mock, call

import pytest
from pika import BasicProperties

from common.amqp.connection import State
from common.amqp.errors import BrokerError, Kind
from common.message import Message
from common.process.run import Process
from consumer.delivery import Delivery
from consumer.prefetch import MAX_HELD_BYTES, SHORT_PREFETCH
from consumer.settings import ConsumerSettings
from consumer.subscription import Subscription
from tests.unit.conftest import Loop
from tests.unit.origins import received


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def subscription(process: Loop, lost: list[str]) -> Subscription:
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    return Subscription(process, settings, lambda _: None, lambda: lost.append("lost"), lambda *_: None)


def test_a_delivery_of_a_channel_that_is_gone_is_settled_by_nobody(subscription: Subscription) -> None:
    """Its tag would name another message on a new channel."""
    old = Delivery(object(), 1, Message(b"x"))
    subscription.unsettled.delivered([1], [1])
    assert not subscription.current(old)
    subscription.give_back(old, counted=True)
    subscription.acknowledge([1])
    assert len(subscription.unsettled) == 1


def test_a_loss_takes_all_that_is_unsettled_back(subscription: Subscription, lost: list[str]) -> None:
    """And the workers hear of it."""
    subscription.unsettled.delivered([1], [1])
    subscription.lost(BrokerError(Kind.TCP, "gone"))
    assert len(subscription.unsettled) == 0
    assert lost == ["lost"]


def test_without_a_channel_there_is_nothing_to_cancel(subscription: Subscription) -> None:
    """The service does not wait for an answer."""
    subscription.cancel()
    assert not subscription.cancelled
    assert subscription.connection.reasons() == ["consumer: closed"]


NO_PROPERTIES = len(received(BasicProperties()))  # bytes that are kept
SMALL = len(b"small") + NO_PROPERTIES


class Consumed:
    """A subscription with a channel, and the broker's side of it."""

    def __init__(self, process: Process, workers: int = 1) -> None:
        settings = ConsumerSettings.model_validate(
            {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "consumer_workers": workers}
        )
        self.handed: list[Delivery] = []
        self.back: list[list[Delivery]] = []
        self.subscription = Subscription(process, settings, self.handed.extend, lambda: None, self.back.append)
        self.channel: Any = Mock()  # pika's
        self.subscription.connection.state = State.OPEN
        self.subscription.connection._channel = self.channel
        self.subscription.opened(self.channel)
        self._arrive = self.channel.connection.consume.call_args.args[3]

    @property
    def consumers(self) -> int:
        """That there ever were."""
        return int(self.channel.connection.consume.call_count)

    def come(self, tag: int, body: bytes = b"small") -> None:
        """The next delivery."""
        self._arrive(self.channel, [(tag, received(BasicProperties()), body)])

    def shut(self) -> None:
        """The answers to what it asks before it consumes no more."""
        for question in (self.channel.basic_qos, self.channel.basic_cancel):
            [*_, on_answer] = [*question.call_args.args, *question.call_args.kwargs.values()]
            on_answer("ok")


@pytest.fixture
def consumed(process: Loop) -> Consumed:
    return Consumed(process)


def test_bodies_that_became_large_go_back_and_come_again_one_by_one(process: Loop, consumed: Consumed) -> None:
    """What comes while it narrows needs no memory; it goes on when there is room, and after a stop never."""
    subscription, channel, quarter = consumed.subscription, consumed.channel, bytes(MAX_HELD_BYTES // 4 - NO_PROPERTIES)
    subscription._prefetch.count = SHORT_PREFETCH
    consumed.come(1)
    for tag in (2, 3, 4, 5):
        consumed.come(tag, quarter)
    process.turn(lambda: consumed.handed, "they are handed on")
    consumed.come(6, quarter)
    assert subscription.unsettled.size == MAX_HELD_BYTES + SMALL
    subscription.acknowledge([1])
    channel.basic_ack.assert_not_called()
    consumed.shut()
    channel.basic_ack.assert_called_once_with(1, multiple=True)
    [unread] = consumed.back
    assert [(each.tag, each.message.body) for each in unread] == [(6, b"")]
    before = consumed.consumers
    subscription.resume()
    assert consumed.consumers == before
    subscription.acknowledge([2, 3])
    subscription.resume()
    subscription.resume()
    assert consumed.consumers == before + 1
    subscription.cancel()
    consumed.shut()
    assert subscription.cancelled
    subscription.resume()
    assert consumed.consumers == before + 1


def test_handlers_that_became_slow_have_less_sent_ahead(
    process: Loop, consumed: Consumed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they did not begin with may go to other consumers; nothing ended."""
    monkeypatch.setattr("consumer.prefetch.WATCH_SECONDS", -1.0)
    for tag in range(1, 2 * SHORT_PREFETCH):
        consumed.come(tag)
    process.turn(lambda: consumed.handed, "they are handed on")
    consumed.subscription._prefetch.count = 1536  # all
    for now in (1.0, 2.0):
        consumed.subscription.tick(0, now)
    assert not consumed.subscription._intake.shutting, "nothing waits for a handler"
    consumed.subscription.tick(SHORT_PREFETCH, 3.0)
    assert not consumed.subscription._intake.shutting
    consumed.subscription.tick(SHORT_PREFETCH, 4.0)
    consumed.shut()
    assert len(consumed.back) == 1
    assert not consumed.subscription.cancelled
    before = consumed.consumers
    consumed.subscription.resume()
    assert consumed.consumers == before + 1


def test_what_was_held_while_it_shut_is_told_when_it_is_closed_before(process: Loop, consumed: Consumed) -> None:
    """The broker may not answer in the time that a stop has, and what is handled must not come again."""
    consumed.come(1)
    process.turn(lambda: consumed.handed, "it is handed on")
    consumed.subscription.cancel()
    consumed.subscription.acknowledge([1])
    consumed.channel.basic_ack.assert_not_called()
    consumed.subscription.close()
    consumed.channel.basic_ack.assert_called_once_with(1, multiple=True)


def test_each_handler_has_one_before_any_is_settled(process: Loop) -> None:
    """And none has more, since nobody knows how long they take."""
    consumed = Consumed(process, workers=8)
    consumed.come(1)
    process.turn(lambda: consumed.handed, "it is handed on")
    assert consumed.channel.basic_qos.call_args_list == [call(prefetch_count=7)]
    assert consumed.consumers == 2


@pytest.mark.parametrize(("tags", "failed"), [([1], 0), ([], 1)])
def test_a_handler_that_was_quick_has_more_sent_ahead(
    process: Loop, consumed: Consumed, tags: list[int], failed: int
) -> None:
    """Also if it failed: its copy may wait for long."""
    consumed.come(1)
    process.turn(lambda: consumed.handed, "it is handed on")
    assert consumed.consumers == 1
    consumed.subscription.acknowledge(tags, failed)
    assert consumed.channel.basic_qos.call_args_list == [call(prefetch_count=SHORT_PREFETCH - 1)]
    assert consumed.consumers == 2


def test_what_comes_before_a_stop_is_for_the_workers_and_what_comes_after_it_goes_back(
    process: Loop, consumed: Consumed
) -> None:
    """In the same turn of the loop, even behind its last hand-over: nothing is forgotten, and nothing is both."""
    subscription = consumed.subscription
    consumed.come(1)
    subscription.cancel()
    assert [each.tag for each in consumed.handed] == [1]
    consumed.come(2)
    turned: list[bool] = []
    process.call_behind(lambda: turned.append(True))
    process.turn(lambda: turned, "the turn is over")
    consumed.come(3)
    consumed.shut()
    assert [each.tag for each in consumed.handed] == [1]
    assert [[(each.tag, each.message.body) for each in back] for back in consumed.back] == [[(2, b""), (3, b"")]]
    assert len(subscription.unsettled) == 3
    assert subscription.unsettled.size == SMALL


def test_what_was_lost_before_its_hand_over_is_nobodys(process: Loop, consumed: Consumed) -> None:
    """It comes anew; its tag may be another message's then."""
    consumed.come(1)
    consumed.subscription.lost(BrokerError(Kind.TCP, "gone"))
    turned: list[bool] = []
    process.call_behind(lambda: turned.append(True))
    process.turn(lambda: turned, "the turn is over")
    assert consumed.handed == []
    assert len(consumed.subscription.unsettled) == 0


def test_a_stop_outlives_a_loss(subscription: Subscription) -> None:
    """Or it would consume on a new channel, and wait for the answer of the old one."""
    subscription.cancel()
    subscription.lost(BrokerError(Kind.TCP, "gone"))
    channel = Mock()
    subscription.opened(channel)
    assert subscription.cancelled
    channel.connection.consume.assert_not_called()
