"""What a browser sends and remembers, with a channel that is none; tests/broker and tests/system have a broker."""

import time
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from unittest.mock import Mock, call

import pytest
from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from common.amqp.connection import State
from common.amqp.errors import BrokerError, Kind
from consumer.dead_letters.browser import NO_DELIVERY_TIMEOUT, Browser, Visitor, nack_keeps_order, prefetch_counts
from consumer.dead_letters.commands import DeadLettersSettings
from tests.unit.conftest import Loop

LOST = BrokerError(Kind.TCP, "gone")


class Open(NamedTuple):
    """A browser whose connection is open, and what stands at its two ends."""

    browser: Browser
    visitor: Mock
    channel: Mock

    def deliver(self, tag: int, *, redelivered: bool = False) -> None:
        """The broker delivers a message of one byte."""
        on_message = self.channel.basic_consume.call_args.args[1]
        on_message(self.channel, Basic.Deliver("", tag, redelivered), BasicProperties(), b"x")

    def cancelled(self) -> None:
        """The broker answers to the last cancel."""
        self.channel.basic_cancel.call_args.args[1](None)

    def committed(self) -> None:
        """The broker answers to the last commit."""
        self.channel.tx_commit.call_args.args[0](None)


def open_browser(process: Loop, settings: DeadLettersSettings, total: int, batch: int, version: str = "4.3.0") -> Open:
    """Of a queue of `total` messages, read in batches of `batch`."""
    visitor, channel = Mock(Visitor), Mock()
    visitor.next_batch.side_effect = lambda _seen, _size, left: min(batch, left)
    channel.connection.server_properties = {"version": version}
    browser = Browser(process, settings, visitor)
    browser.connection = Mock(channel=channel)
    browser.prepare(channel)
    channel.queue_declare.call_args.kwargs["callback"](SimpleNamespace(method=SimpleNamespace(message_count=total)))
    browser.opened(channel)
    return Open(browser, visitor, channel)


def test_without_a_broker_nothing_is_counted_and_nothing_has_ended(
    process: Loop, settings: DeadLettersSettings
) -> None:
    browser = Browser(process, settings, Mock(Visitor))
    browser.connection.open()
    process.turn(lambda: browser.connection.state is State.BACKING_OFF, "a broker_error")
    browser.tick()
    assert (browser.total, browser.seen, browser.ended) == (None, 0, False)
    browser.leave()
    assert not browser.finished
    browser.connection.close()


def test_a_queue_is_read_in_batches_to_what_was_its_end(process: Loop, settings: DeadLettersSettings) -> None:
    """The next batch is requested when the consumer of the last one is cancelled."""
    browser, visitor, channel = opened = open_browser(process, settings, total=3, batch=2)
    channel.basic_qos.assert_called_once_with(prefetch_count=2)
    opened.deliver(1)
    channel.basic_cancel.assert_not_called()
    opened.deliver(2)
    assert channel.basic_cancel.call_args.args[0] == channel.basic_consume.call_args.kwargs["consumer_tag"]
    assert not browser.over
    opened.cancelled()
    assert channel.basic_qos.call_args.kwargs == {"prefetch_count": 1}
    opened.deliver(3)
    assert not browser.ended
    opened.cancelled()
    assert browser.ended
    assert [visit.args[0] for visit in visitor.visit.call_args_list] == [1, 2, 3]
    assert [request.args for request in visitor.next_batch.call_args_list] == [(0, 0, 3), (2, 2, 1)]


def test_a_visitor_without_room_is_asked_again_at_the_next_tick(process: Loop, settings: DeadLettersSettings) -> None:
    """Its wait is no sign of another reader."""
    browser, visitor, channel = open_browser(process, settings, total=2, batch=0)
    channel.basic_consume.assert_not_called()
    later = time.monotonic() + 2 * NO_DELIVERY_TIMEOUT
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: later)
        assert not browser.ended
    visitor.next_batch.side_effect = [2]
    browser.tick()
    channel.basic_qos.assert_called_once_with(prefetch_count=2)


@pytest.mark.parametrize("redelivered", [False, True])
def test_a_queue_that_was_browsed_before_is_read_to_its_end_though_no_more_is_wanted(
    redelivered: bool, process: Loop, settings: DeadLettersSettings
) -> None:
    """Else the broker puts what was read behind the rest."""
    browser, visitor, channel = opened = open_browser(process, settings, total=2, batch=1)
    visitor.wants_more.return_value = False
    opened.deliver(1, redelivered=redelivered)
    opened.cancelled()
    assert browser.over is not redelivered
    assert channel.basic_consume.call_count == 1 + redelivered


def test_acknowledgements_are_sent_when_their_batch_has_come(process: Loop, settings: DeadLettersSettings) -> None:
    """Before, the broker would send another message for each."""
    browser, _, channel = opened = open_browser(process, settings, total=3, batch=2)
    opened.deliver(1)
    browser.acknowledge([1])
    browser.tick()
    channel.basic_ack.assert_not_called()
    opened.deliver(2)
    opened.cancelled()
    opened.deliver(3)
    browser.acknowledge([3])
    browser.tick()
    channel.basic_ack.assert_called_once_with(1)
    assert browser.acknowledged == 0
    opened.committed()
    assert (browser.acknowledged, browser.finished) == (1, False)
    opened.cancelled()
    browser.leave()
    assert channel.basic_ack.call_args.args == (3,)
    opened.committed()
    assert (browser.acknowledged, browser.finished) == (2, True)


@pytest.mark.parametrize(
    ("version", "delivered", "nacks"), [("4.3.0", True, True), ("4.3.0", False, False), ("4.2.9", True, False)]
)
def test_the_rest_is_nacked_when_it_keeps_the_order_and_no_consumer_gets_it_again(
    version: str, delivered: bool, nacks: bool, process: Loop, settings: DeadLettersSettings
) -> None:
    """Else it goes back when the connection is closed."""
    browser, _, channel = opened = open_browser(process, settings, total=1, batch=1, version=version)
    if delivered:
        opened.deliver(1)
        opened.cancelled()
    browser.leave()
    browser.leave()  # before the broker has answered
    assert channel.basic_nack.call_args_list == [call(0, multiple=True, requeue=True)] * nacks
    channel.tx_commit.assert_called_once()


def test_after_a_loss_nothing_is_requested_or_acknowledged(process: Loop, settings: DeadLettersSettings) -> None:
    """A delivery tag belongs to its own channel, and another connection would show the same messages again."""
    browser, visitor, _ = opened = open_browser(process, settings, total=2, batch=1)
    opened.deliver(1)
    browser.acknowledge([1])
    browser.lost(LOST)
    opened.cancelled()
    visitor.next_batch.reset_mock()
    browser.connection.channel = second = Mock()  # type: ignore[misc]
    browser.opened(second)
    browser.tick()
    assert not second.mock_calls, "a tag names a delivery of its own channel"
    assert browser.error == LOST
    visitor.next_batch.assert_not_called()


def test_a_slow_commit_is_no_sign_of_another_reader_and_an_unanswered_one_is_no_activity(
    process: Loop, settings: DeadLettersSettings
) -> None:
    """The broker sends nothing before its answer to a commit; and a wait without a bound would never end."""
    now = time.monotonic()
    browser, _, _ = opened = open_browser(process, settings, total=2, batch=1)
    opened.deliver(1)
    opened.cancelled()
    browser.acknowledge([1])
    browser.tick()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now + 2 * NO_DELIVERY_TIMEOUT)
        browser.tick()
        assert browser.last_activity < now + NO_DELIVERY_TIMEOUT
        assert not browser.ended
        opened.committed()
        assert browser.last_activity == now + 2 * NO_DELIVERY_TIMEOUT
        assert not browser.ended
        patch.setattr(time, "monotonic", lambda: now + 4 * NO_DELIVERY_TIMEOUT)
        assert browser.ended


def test_several_consumers_request_more_than_16_bits_can_say() -> None:
    assert prefetch_counts(0) == []
    assert prefetch_counts(10) == [10]
    assert prefetch_counts(65535) == [65535]
    assert prefetch_counts(131_071) == [65535, 65535, 1]


def server(properties: dict[str, Any] | None) -> Channel:
    return cast("Channel", SimpleNamespace(connection=SimpleNamespace(server_properties=properties)))


@pytest.mark.parametrize(
    ("version", "keeps"),
    [("4.3.0", True), ("4.3.6-rc.1", True), ("4.10.1", True), ("5.0.0", True), ("4.2.9", False), ("3.10.8", False)],
)
def test_a_nack_keeps_the_order_from_rabbitmq_4_3_on(version: str, keeps: bool) -> None:
    assert nack_keeps_order(server({"version": version})) is keeps


@pytest.mark.parametrize("properties", [None, {}, {"version": "unknown"}])
def test_a_broker_that_does_not_tell_its_version_is_taken_for_an_old_one(properties: dict[str, Any] | None) -> None:
    """Closing the channel keeps the order with every version."""
    assert not nack_keeps_order(server(properties))
