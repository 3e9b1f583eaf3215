"""What a subscription promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

from typing import Any
from unittest.mock import Mock, call

import pytest
from pika import BasicProperties
from prometheus_client import REGISTRY

from common.amqp.errors import BrokerError, Kind
from common.message import Message
from common.process.run import Process
from consumer.delivery import Delivery
from consumer.intake import PROPERTIES_WEIGHT, SINGLE_AFTER
from consumer.prefetch import SHORT_PREFETCH
from consumer.settings import ConsumerSettings
from consumer.subscription import MAX_UNSETTLED_BYTES, Subscription
from tests.unit.conftest import Loop
from tests.unit.origins import received


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def subscription(process: Loop, lost: list[str]) -> Subscription:
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    return Subscription(process, settings, lambda _: None, lambda _: lost.append("lost"), lambda *_: None)


def test_a_delivery_of_a_lost_channel_is_not_settled(subscription: Subscription) -> None:
    """Its tag would name another message on a new channel."""
    old = Delivery(object(), 1, Message(b"x"))
    subscription._acks.delivered([1], [1])
    assert not subscription.current(old)
    subscription.requeue(old, counted=True)
    subscription.acknowledge([1])
    assert subscription.unsettled == 1


def test_a_lost_channel_has_no_unsettled_deliveries(subscription: Subscription, lost: list[str]) -> None:
    """And the workers hear of it."""
    subscription._acks.delivered([1], [1])
    subscription.lost(BrokerError(Kind.TCP, "gone"))
    assert subscription.unsettled == 0
    assert lost == ["lost"]


def test_a_stop_without_a_channel_waits_for_no_reply(subscription: Subscription) -> None:
    """The service does not wait for an answer."""
    subscription.cancel()
    assert not subscription.cancelled
    assert subscription.connection.reasons() == ["consumer: closed"]


NO_PROPERTIES = PROPERTIES_WEIGHT * len(received(BasicProperties()))  # bytes that are kept
SMALL = len(b"small") + NO_PROPERTIES


class Consumed:
    """A subscription with a channel, and the broker's side of it."""

    def __init__(self, process: Process, workers: int = 1) -> None:
        settings = ConsumerSettings.model_validate(
            {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "consumer_workers": workers}
        )
        self.handed: list[Delivery] = []
        self.back: list[list[Delivery]] = []
        self.subscription = Subscription(process, settings, self.handed.extend, lambda _: None, self.back.append)
        self.channel: Any = Mock()  # pika's
        self.subscription.opened(self.channel)
        self._arrive = self.channel.connection.consume.call_args.args[3]

    @property
    def consumers(self) -> int:
        """That there ever were."""
        return int(self.channel.connection.consume.call_count)

    def come(self, tag: int, body: bytes = b"small") -> None:
        """The next delivery."""
        self._arrive(self.channel, [(tag, received(BasicProperties()), body, False)])

    def answer_cancel(self) -> None:
        """The answers to what it asks before it consumes no more."""
        for question in (self.channel.basic_qos, self.channel.basic_cancel):
            [*_, on_answer] = [*question.call_args.args, *question.call_args.kwargs.values()]
            on_answer("ok")


@pytest.fixture
def consumed(process: Loop) -> Consumed:
    return Consumed(process)


def test_bodies_that_became_large_are_requeued_and_come_again_one_by_one(process: Loop, consumed: Consumed) -> None:
    """What comes while it narrows needs no memory; it goes on when there is room, and after a stop never."""
    subscription, channel, quarter = (
        consumed.subscription,
        consumed.channel,
        bytes(MAX_UNSETTLED_BYTES // 4 - NO_PROPERTIES),
    )
    subscription._prefetch.count = SHORT_PREFETCH
    consumed.come(1)
    for tag in (2, 3, 4, 5):
        consumed.come(tag, quarter)
    process.turn(lambda: consumed.handed, "they are handed on")
    consumed.come(6, quarter)
    assert subscription._acks.bytes == MAX_UNSETTLED_BYTES + SMALL
    subscription.acknowledge([1])
    channel.basic_ack.assert_not_called()
    consumed.answer_cancel()
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
    consumed.answer_cancel()
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
    assert not consumed.subscription._intake.cancelling, "nothing waits for a handler"
    consumed.subscription.tick(SHORT_PREFETCH, 3.0)
    assert not consumed.subscription._intake.cancelling
    consumed.subscription.tick(SHORT_PREFETCH, 4.0)
    consumed.answer_cancel()
    assert len(consumed.back) == 1
    assert not consumed.subscription.cancelled
    before = consumed.consumers
    consumed.subscription.resume()
    assert consumed.consumers == before + 1


def test_acknowledgements_held_by_a_cancel_are_sent_before_the_connection_closes(
    process: Loop, consumed: Consumed
) -> None:
    """The broker may not answer in the time that a stop has, and what is handled must not come again."""
    consumed.come(1)
    process.turn(lambda: consumed.handed, "it is handed on")
    consumed.subscription.cancel()
    consumed.subscription.acknowledge([1])
    consumed.channel.basic_ack.assert_not_called()
    consumed.subscription.close()
    consumed.channel.basic_ack.assert_called_once_with(1, multiple=True)


def test_each_handler_has_one_delivery_before_any_is_settled(process: Loop) -> None:
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


def test_deliveries_before_a_stop_are_handled_and_later_ones_requeued(process: Loop, consumed: Consumed) -> None:
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
    consumed.answer_cancel()
    assert [each.tag for each in consumed.handed] == [1]
    assert [[(each.tag, each.message.body) for each in back] for back in consumed.back] == [[(2, b""), (3, b"")]]
    assert subscription.unsettled == 3
    assert subscription._acks.bytes == SMALL


def test_deliveries_lost_before_their_hand_over_are_dropped(process: Loop, consumed: Consumed) -> None:
    """It comes anew; its tag may be another message's then."""
    consumed.come(1)
    consumed.subscription.lost(BrokerError(Kind.TCP, "gone"))
    turned: list[bool] = []
    process.call_behind(lambda: turned.append(True))
    process.turn(lambda: turned, "the turn is over")
    assert consumed.handed == []
    assert consumed.subscription.unsettled == 0


def test_a_single_active_consumer_gets_all_though_a_handler_ends_while_it_cancels(
    process: Loop, consumed: Consumed
) -> None:
    """What ends then earns no step: with one, the cancel would be taken for that of slow handlers."""
    subscription = consumed.subscription
    for tag in range(1, SINGLE_AFTER + 2):
        consumed.come(tag)
        process.turn(lambda: consumed.handed[-1:] and consumed.handed[-1].tag == tag, "it is handed on")  # noqa: B023
        subscription.acknowledge([tag])
    assert subscription._intake.cancelling
    consumed.answer_cancel()
    subscription.resume()
    assert consumed.channel.basic_qos.call_args == call(prefetch_count=1536)


def test_a_single_active_consumer_whose_one_handler_is_slow_gets_one_and_no_more(
    process: Loop, consumed: Consumed
) -> None:
    """A second consumer would bring nothing, and lead to the whole prefetch again."""
    subscription = consumed.subscription
    subscription._prefetch.single()
    subscription._prefetch.narrowed(1.0)
    subscription._cancel_intake()
    consumed.answer_cancel()
    subscription.resume()
    before = consumed.consumers
    for tag in (1, 2, 3):
        consumed.come(tag)
        process.turn(lambda: consumed.handed[-1:] and consumed.handed[-1].tag == tag, "it is handed on")  # noqa: B023
        subscription.acknowledge([tag])
    assert consumed.consumers == before


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def test_deliveries_are_counted_and_those_that_are_unsettled_shown(process: Loop, consumed: Consumed) -> None:
    before = metric("consumer_delivered_total")
    consumed.come(1)
    consumed.come(2)
    process.turn(lambda: consumed.handed, "they are handed on")
    assert metric("consumer_delivered_total") == before + 2
    assert metric("consumer_unsettled") == 2


def test_a_channel_is_ready_when_its_queues_are_declared_and_one_message_may_come(
    subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription.connection, "accepted", accepted := Mock())
    channel: Any = Mock()
    subscription.prepare(channel)
    declared = [given.args[0] for given in channel.queue_declare.call_args_list]
    assert declared == [queue.name for queue in subscription.topology.queues]
    [given] = channel.basic_qos.call_args_list
    assert given.kwargs["prefetch_count"] == 1
    accepted.assert_not_called()
    given.kwargs["callback"]("ok")
    assert accepted.call_args_list == [call(channel)]


def test_only_a_delivery_of_the_open_channel_is_requeued(consumed: Consumed) -> None:
    """A tag of another channel names another message."""
    subscription = consumed.subscription
    subscription._acks.delivered([1], [1])
    own, other = Delivery(consumed.channel, 1, Message(b"x")), Delivery(object(), 1, Message(b"x"))
    assert subscription.current(own)
    subscription.requeue(other, counted=True)
    consumed.channel.basic_reject.assert_not_called()
    subscription.requeue(own, counted=True)
    consumed.channel.basic_reject.assert_called_once_with(1, requeue=True)
    assert subscription.unsettled == 0


def test_a_delivery_of_a_channel_that_was_lost_is_neither_acknowledged_nor_requeued(consumed: Consumed) -> None:
    subscription, delivery = consumed.subscription, Delivery(consumed.channel, 1, Message(b"x"))
    assert subscription.current(delivery)
    subscription.lost(BrokerError(Kind.TCP, "gone"))
    assert not subscription.current(delivery)
    consumed.channel.reset_mock()
    subscription._acks.delivered([1], [1])
    subscription.acknowledge([1])
    subscription.requeue(delivery, counted=True)
    assert consumed.channel.mock_calls == []
    assert subscription.unsettled == 1


class Clock:
    """In the place of `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr("consumer.subscription.time", made := Clock())
    return made


def test_a_subscription_is_active_when_it_opens_settles_or_resumes(consumed: Consumed, clock: Clock) -> None:
    """An exit when idle counts from there; a failure is settled by its copy."""
    subscription = consumed.subscription
    clock.now = 1.0
    subscription.opened(consumed.channel)
    assert subscription.active_at == 1.0
    clock.now = 2.0
    subscription.acknowledge([], failed=1)
    assert subscription.active_at == 1.0
    subscription._acks.delivered([1], [1])
    subscription.acknowledge([1])
    assert subscription.active_at == 2.0
    subscription._cancel_intake()
    consumed.answer_cancel()
    clock.now = 3.0
    subscription.resume()
    assert subscription.active_at == 3.0


@pytest.mark.parametrize(("growing", "asked"), [(True, [call(2, 3, 1000.0)]), (False, [])])
def test_the_prefetch_counts_what_was_handled_and_grows_by_it_until_all_is_sent_ahead(
    consumed: Consumed, clock: Clock, growing: bool, asked: list[Any]
) -> None:
    """Each question is a call for each hand-over."""
    subscription = consumed.subscription
    subscription._prefetch = prefetch = Mock(finished=10, growing=growing, count=1536)
    prefetch.handled.return_value = 7
    subscription.acknowledge([])
    assert prefetch.method_calls == []
    subscription._acks.delivered([1, 2], [1, 1])
    subscription.acknowledge([1, 2], failed=3)
    assert prefetch.finished == 15
    assert prefetch.handled.call_args_list == asked
    assert consumed.channel.basic_qos.call_args_list == [call(prefetch_count=7)] * len(asked)


def test_sizes_are_of_no_matter_once_all_is_sent_ahead(process: Loop, consumed: Consumed) -> None:
    consumed.subscription._prefetch = prefetch = Mock(growing=False, count=1536)
    consumed.come(1)
    process.turn(lambda: consumed.handed, "it is handed on")
    prefetch.arrived.assert_not_called()


@pytest.mark.parametrize(("count", "size", "cancels"), [(1, 1, False), (2, 0, False), (2, 1, True)])
def test_more_bytes_than_may_be_held_narrow_unless_one_message_is_as_large(
    process: Loop, consumed: Consumed, count: int, size: int, cancels: bool
) -> None:
    """`size` is that over the limit."""
    consumed.subscription._prefetch = Mock(growing=False, count=count)
    consumed.subscription._prefetch.delivered.return_value = 0
    consumed.come(1, bytes(MAX_UNSETTLED_BYTES - NO_PROPERTIES + size))
    process.turn(lambda: consumed.handed, "it is handed on")
    assert consumed.subscription._intake.cancelling is cancels


def test_what_is_held_beside_the_deliveries_counts_too(process: Loop, consumed: Consumed) -> None:
    """What handlers forward may be much larger than what came. It is free again when the delivery is settled."""
    subscription = consumed.subscription
    consumed.come(1)
    process.turn(lambda: consumed.handed, "it is handed on")
    (delivery,) = consumed.handed
    subscription.holds(delivery, MAX_UNSETTLED_BYTES - SMALL)
    assert not subscription.full
    subscription.holds(delivery, 1)
    assert subscription.full
    subscription.acknowledge([1])
    assert subscription._acks.bytes == 0
    subscription.holds(delivery, 1)
    assert (subscription._acks.bytes, subscription.unsettled) == (0, 0), "it is settled"


def test_a_narrowed_subscription_resumes_when_half_of_the_bytes_are_free(consumed: Consumed) -> None:
    subscription = consumed.subscription
    subscription._acks.delivered([1, 2], [MAX_UNSETTLED_BYTES // 2, 1])
    subscription._cancel_intake()
    consumed.answer_cancel()
    subscription.resume()
    assert consumed.consumers == 1
    subscription.acknowledge([2])
    subscription.resume()
    assert consumed.consumers == 2


def test_a_narrowed_subscription_and_a_new_channel_begin_with_one(process: Loop, consumed: Consumed) -> None:
    subscription = consumed.subscription
    for again in (subscription._cancel_intake, lambda: subscription.opened(consumed.channel)):
        subscription._prefetch.count = SHORT_PREFETCH
        again()
        if subscription._intake.cancelling:
            consumed.answer_cancel()
        assert subscription._prefetch.count == 1


def test_a_stop_of_a_narrowed_subscription_is_done_at_once(consumed: Consumed) -> None:
    """The broker sends nothing already; what came unread goes back once."""
    subscription = consumed.subscription
    subscription._cancel_intake()
    consumed.come(1)
    consumed.answer_cancel()
    assert not subscription.cancelled
    subscription.cancel()
    assert subscription.cancelled
    assert [[each.tag for each in back] for back in consumed.back] == [[1], []]


def test_unread_deliveries_of_a_lost_channel_are_dropped(process: Loop, consumed: Consumed) -> None:
    subscription = consumed.subscription
    subscription._cancel_intake()
    consumed.come(1)
    process.turn(lambda: subscription.unsettled, "it is noted")
    subscription.lost(BrokerError(Kind.TCP, "gone"))
    subscription.opened(consumed.channel)
    subscription._cancel_intake()
    consumed.answer_cancel()
    assert consumed.back == [[]]


def test_a_closed_subscription_sends_nothing_more(consumed: Consumed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that ends now, or a tick, would write to a channel that closes."""
    subscription = consumed.subscription
    monkeypatch.setattr(subscription.connection, "close", close := Mock())
    subscription._acks.delivered([1], [1])
    subscription._cancel_intake()
    consumed.answer_cancel()
    subscription.close()
    close.assert_called_once_with()
    consumed.channel.reset_mock()
    subscription.acknowledge([1])
    subscription.requeue_all()
    subscription.resume()
    assert consumed.channel.mock_calls == []
    assert subscription.unsettled == 1, "the broker delivers it again"


def test_a_stop_in_an_outage_holds_no_acknowledgement(subscription: Subscription) -> None:
    """No reply would release them."""
    subscription.cancel()
    channel: Any = Mock()
    subscription.opened(channel)
    subscription._acks.delivered([1], [1])
    subscription.acknowledge([1])
    channel.basic_ack.assert_called_once_with(1, multiple=True)


def test_a_stop_outlives_a_loss(subscription: Subscription) -> None:
    """Or it would consume on a new channel, and wait for the answer of the old one."""
    subscription.cancel()
    subscription.lost(BrokerError(Kind.TCP, "gone"))
    channel = Mock()
    subscription.opened(channel)
    assert subscription.cancelled
    channel.connection.consume.assert_not_called()
