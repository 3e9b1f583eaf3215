"""Subscription: the consuming connection. Deliveries come in, and are settled on the channel they came from."""

import time
from collections.abc import Callable

from pika import BasicProperties, spec
from pika.channel import Channel

from common.connection import Connection
from common.message import Message
from common.process import Process
from common.refusal import Refusal
from common.topology import Topology
from consumer import metrics
from consumer.acknowledger import Acknowledger
from consumer.copies import delivery_count
from consumer.delivery import Delivery
from consumer.prefetch import Prefetch
from consumer.settings import ConsumerSettings


class Subscription:
    """Implements `common.channel_user.ChannelUser`. I/O thread only.

    `on_deliveries` gets what one turn of the loop read; `on_lost` hears that the broker takes all unsettled back;
    `on_cancelled` that it sends no more, with the deliveries that were not handed on yet.
    """

    def __init__(
        self,
        process: Process,
        settings: ConsumerSettings,
        on_deliveries: Callable[[list[Delivery]], None],
        on_lost: Callable[[], object],
        on_cancelled: Callable[[list[Delivery]], None],
    ) -> None:
        self.connection = Connection("consumer", process, settings, self)
        self._acks = Acknowledger(process, lambda: self.connection.channel)
        self.unsettled = self._acks.unsettled
        self.topology = Topology(settings.mq_ch)
        self.cancelled = False
        self.active_at = time.monotonic()  # when something last came or was settled, or the connection was not open
        self._process, self._settings = process, settings
        self._on_deliveries, self._on_lost, self._on_cancelled = on_deliveries, on_lost, on_cancelled
        self._deliver = process.guarded(self._hand_on)
        self._arrived: list[Delivery] = []
        self._cancelling = False
        self._consumer_tags: list[str] = []
        self._prefetch = Prefetch(settings.consumer_prefetch)
        metrics.UNSETTLED.set_function(lambda: len(self.unsettled))

    def prepare(self, channel: Channel) -> None:
        """Declare, and let the broker send one message ahead."""
        self.topology.declare(channel, self._settings.mq_topology)
        accepted = self._process.guarded(lambda _: self.connection.accepted(channel))
        channel.basic_qos(prefetch_count=1, callback=accepted)

    def opened(self, channel: Channel) -> None:
        """Consume."""
        self.active_at = time.monotonic()
        self._consumer_tags = []
        self._prefetch.opened()
        if not self._process.stopping:
            self._consume(channel)

    def lost(self, _reason: Refusal) -> None:
        """The broker has requeued all that was not settled, and delivers it anew."""
        self._arrived, self._cancelling = [], False
        self._acks.clear()
        self._on_lost()

    def current(self, delivery: Delivery) -> bool:
        """Whether it may still be settled. A tag of another channel names another message."""
        return delivery.channel is self.connection.channel

    def acknowledge(self, tags: list[int]) -> None:
        """These deliveries, all of the current channel, are handled."""
        channel = self.connection.channel
        if tags and channel:
            now = self.active_at = time.monotonic()
            self._acks.settle(tags, self._prefetch.half)
            if self._prefetch.short:
                self._widen(channel, self._prefetch.settled(len(tags), now))

    def give_back(self, delivery: Delivery, *, counted: bool) -> None:
        """Requeue it: counted against the delivery limit on every broker, or on those before 4.3 alone."""
        if (channel := self.connection.channel) and delivery.channel is channel:
            self.unsettled.rejected(delivery.tag)
            requeue = channel.basic_reject if counted else channel.basic_nack
            requeue(delivery.tag, requeue=True)

    def give_back_all(self) -> None:
        """Requeue all that is not settled."""
        if channel := self.connection.channel:
            self._acks.tell()
            self.unsettled.clear()
            channel.basic_nack(0, multiple=True, requeue=True)

    def cancel(self) -> None:
        """Let nothing more come. Acknowledgements wait for the answer.

        Each would make the broker send one more, which pika rejects while a cancel is under way, and a rejection
        counts against the delivery limit.
        """
        channel = self.connection.channel
        if channel and self._consumer_tags and not self._cancelling and not self.cancelled:
            self._cancelling = True
            self._acks.hold()
            *others, last = self._consumer_tags
            for tag in others:
                channel.basic_cancel(tag)
            channel.basic_cancel(last, self._process.guarded(lambda _: self._on_cancel_ok(channel)))

    def close(self) -> None:
        """Close the connection, behind the last acknowledgement."""
        self._acks.tell()
        self.connection.close()

    def _consume(self, channel: Channel) -> None:
        on_message = self._process.guarded(self._arrive)
        self._consumer_tags.append(channel.basic_consume(self._settings.mq_ch, on_message))

    def _widen(self, channel: Channel, more: int) -> None:
        """Let `more` come by a further consumer of the same channel, so that the order holds."""
        if more and not self._cancelling and not self.cancelled:
            channel.basic_qos(prefetch_count=more)
            self._consume(channel)

    def _on_cancel_ok(self, channel: Channel) -> None:
        if channel is self.connection.channel:
            self._cancelling, self.cancelled = False, True
            self._acks.release()
            arrived, self._arrived = self._arrived, []
            self._on_cancelled(arrived)

    def _arrive(self, channel: Channel, method: spec.Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        if not self._arrived:  # one hand-over for all that this turn of the loop reads
            self._process.call_behind(self._deliver)
        tag, message = method.delivery_tag or 0, Message(body, properties=properties)
        self.unsettled.delivered(tag)
        self._arrived.append(Delivery(channel, tag, message))
        if self._prefetch.count == 1:
            self._widen(channel, self._prefetch.delivered(delivery_count(message), len(body)))

    def _hand_on(self) -> None:
        arrived, self._arrived = self._arrived, []
        metrics.DELIVERED.inc(len(arrived))
        if self._prefetch.short:
            self._prefetch.arrived([len(each.message.body) for each in arrived], time.monotonic())
        self._on_deliveries(arrived)
