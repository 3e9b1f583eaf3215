"""Browser: walks through a queue from its head to what was its end, and leaves it as it was but for what it settled.

To see more than the head, what was seen is held unacknowledged. How it goes back is measured on RabbitMQ 4.3 and 3.10:
with the channel, by a close or a `kill -9`, it goes back in its order (`chunks` says when that is its place), and a
delivery of each is counted; a nack is not counted from 4.3 on, and before 4.3 loses the order.
"""

import time
from typing import Any, Protocol

from pika import BasicProperties, spec
from pika.channel import Channel

from common.amqp.connection import Connection
from common.amqp.errors import Refusal
from common.amqp.topology import Topology
from common.message import Message
from common.process.run import Process
from common.settings.shared import Settings
from consumer.dead_letters.chunks import credits_of
from consumer.dead_letters.settlement import Settlement
from consumer.intake import consumer_tags

QUIET = 10.0  # seconds without a delivery that was asked for: somebody else took the message


class Visitor(Protocol):
    """All of it is called on the I/O thread."""

    def visit(self, tag: int, message: Message) -> None:
        """The next message. What is not settled by its tag goes back."""

    def wants_more(self) -> bool:
        """Whether to go on; even if not, all are shown that must be held for the order."""

    def next_chunk(self, seen: int, size: int, left: int) -> int:
        """How many of the `left` messages it takes now, after `seen` of `size` bytes together."""


class Browser:
    """Implements `common.amqp.connection.ChannelUser`. I/O thread only.

    A chunk is asked for by consumers with just that much credit, cancelled once it came. Nothing is acknowledged
    before, or the broker would send another message for it.
    """

    def __init__(self, process: Process, settings: Settings, visitor: Visitor) -> None:
        self.topology = Topology(settings.mq_ch)
        self.connection = Connection("dead_letters", process, settings, self)
        self.settlement = Settlement(process.guarded)
        self.total: int | None = None  # messages in the queue at the start
        self.seen = 0
        self.lost_by: Refusal | None = None
        self._came_at = time.monotonic()  # the connection, or a message
        self._guarded, self._visitor = process.guarded, visitor
        self._size = 0  # bytes of the bodies seen
        self._consumer_tags: list[str] = []  # of the open chunk
        self._coming = 0
        self._names = consumer_tags()
        self._came_back = False  # the last one seen was delivered to somebody before
        self._closed_tag = 0  # the last delivery tag of closed chunks
        self._leaving = False

    @property
    def moved_at(self) -> float:
        """When the broker last did something for us, or was asked to commit."""
        return max(self._came_at, self.settlement.moved_at)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to see."""
        return self._quiet or (not self._consumer_tags and self.seen == self.total)

    @property
    def may_leave(self) -> bool:
        """Whether what is held would go back to its place."""
        return self.ended or not (self._consumer_tags or self._came_back)

    @property
    def _quiet(self) -> bool:
        asked = self._coming > 0 and not self.settlement.committing
        return asked and time.monotonic() - self.moved_at > QUIET

    def prepare(self, channel: Channel) -> None:
        """Count, and select transactions."""
        channel.queue_declare(self.topology.dead, passive=True, callback=self._guarded(self._on_count))
        channel.tx_select(self._guarded(lambda _: self.connection.accepted(channel)))

    def opened(self, _channel: Channel) -> None:
        """Begin; but not again."""
        self._came_at = time.monotonic()
        if not self.lost_by:
            self._go_on()

    def lost(self, reason: Refusal) -> None:
        """Over: the broker has put all back, and another look would begin at the head."""
        self.lost_by = reason

    def tick(self) -> None:
        """Acknowledge, and go on."""
        channel = self.connection.channel
        if channel and not self._leaving and not self.lost_by and not self.settlement.committing:
            self.settlement.send(channel, self._closed_tag)
            self._go_on()

    def leave(self) -> None:
        """Acknowledge what is settled and give back the rest."""
        self._leaving = True
        if channel := self.connection.channel:
            self.settlement.give_back(channel, quiet=not self._consumer_tags)

    def _go_on(self) -> None:
        channel = self.connection.channel
        wanted = self._visitor.wants_more() or self._came_back
        if not channel or self._consumer_tags or self._leaving or self.ended or not wanted:
            return
        assert self.total is not None  # noqa: S101 - counted before the channel was accepted
        self._coming = self._visitor.next_chunk(self.seen, self._size, self.total - self.seen)
        for credit in credits_of(self._coming):
            tag = next(self._names)
            self._consumer_tags.append(tag)
            channel.basic_qos(prefetch_count=credit)
            channel.basic_consume(self.topology.dead, self._guarded(self._on_message), consumer_tag=tag)

    def _on_count(self, frame: Any) -> None:
        self.total = frame.method.message_count

    def _on_message(
        self, channel: Channel, method: spec.Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        if self._leaving:
            return
        self.seen += 1
        self._coming -= 1
        self._size += len(body)
        tag, self._came_back, self._came_at = method.delivery_tag or 0, bool(method.redelivered), time.monotonic()
        self._visitor.visit(tag, Message(body, properties=properties))
        if not self._coming:
            *others, last = self._consumer_tags
            for other in others:
                channel.basic_cancel(other)
            channel.basic_cancel(last, self._guarded(lambda _: self._on_cancelled(tag)))

    def _on_cancelled(self, tag: int) -> None:
        self._consumer_tags, self._closed_tag = [], tag
        self._go_on()
