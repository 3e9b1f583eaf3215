"""Browser: shows a queue from its head to its end, and changes nothing but what it is told to acknowledge.

To see more than the head, a browser holds what it saw unacknowledged. How that goes back was measured on RabbitMQ 4.3
and 3.10. With the channel, by a close or a `kill -9`, messages go back in their order: to their old place at the first
time, and later behind what came back before and before all others. So the order of a queue that was browsed before is
kept only if all of it is held, and through a `kill -9` only if all of it was requested at once. The broker counts this
as a delivery of each. A nack is not counted from 4.3 on, and before 4.3 loses the order.
"""

import re
import time
from typing import Any, Protocol

from pika.channel import Channel
from pika.spec import Basic

from common.amqp.connection import ChannelUser, Connection
from common.amqp.errors import BrokerError
from common.amqp.topology import Topology
from common.message import Message
from common.process.run import Process
from common.properties import received
from common.settings.shared import Settings
from consumer.intake import consumer_tags

NACK_KEEPS_ORDER = (4, 3)  # RabbitMQ version
MAX_PREFETCH = 65535  # what basic.qos can say, for one consumer
NO_DELIVERY_TIMEOUT = 10.0  # seconds without a requested delivery: another program took the message


class Visitor(Protocol):
    """What reads the queue through a browser. All of it is called on the I/O thread."""

    def visit(self, tag: int, message: Message) -> None:
        """The next message. It goes back to the queue, unless its delivery tag is acknowledged."""

    def wants_more(self) -> bool:
        """Whether to go on. If not, `visit` is still called for what must be held to keep the order."""

    def next_batch(self, seen: int, size: int, left: int) -> int:
        """How many of the `left` messages to request now, after `seen` messages of `size` bytes together."""


class Browser(ChannelUser):
    """I/O thread only.

    A batch is requested by consumers with just that much prefetch, which are cancelled when all of it came. Nothing is
    acknowledged before: for each acknowledgement the broker would send another message.

    Acknowledgements go in transactions: in one, all of a consumer are one command to the queue. One by one each is a
    command, and from 32 on the broker keeps them back, and drops them with the channel.
    """

    def __init__(self, process: Process, settings: Settings, visitor: Visitor) -> None:
        self.topology = Topology(settings.mq_ch)
        self.connection = Connection("dead_letters", process, settings, self)
        self.error: BrokerError | None = None  # by which the connection was lost
        self.total: int | None = None  # messages in the queue at the start
        self.seen = 0
        self.acknowledged = 0  # messages whose acknowledgement is committed
        self.finished = False  # the last commit, that of `leave`, was answered
        self.last_activity = time.monotonic()  # when the broker last did something for us, or was asked to commit
        self._guarded, self._visitor, self._new_tags = process.guarded, visitor, consumer_tags()
        self._bytes_seen = 0
        self._consumers: list[str] = []  # tags of the consumers of the current batch
        self._expected = 0  # deliveries of the current batch that are still to come
        self._redelivered = False  # whether the last message seen had been delivered before
        self._last_tag = 0  # the last delivery tag of the batches before
        self._to_acknowledge: list[int] = []  # delivery tags
        self._committing = self._leaving = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will be seen."""
        starved = self._expected > 0 and not self._committing
        starved = starved and time.monotonic() - self.last_activity > NO_DELIVERY_TIMEOUT
        return starved or (not self._consumers and self.seen == self.total)

    @property
    def over(self) -> bool:
        """Whether no more comes or is wanted, and what is held would go back to its place."""
        return self.ended or not (self._consumers or self._redelivered or self._visitor.wants_more())

    @property
    def left(self) -> int:
        """Messages that were in the queue at the start and are not seen yet."""
        return (self.total or 0) - self.seen

    def prepare(self, channel: Channel) -> None:
        channel.queue_declare(self.topology.dead, passive=True, callback=self._guarded(self._on_count))
        channel.tx_select(self._guarded(lambda _: self.connection.accepted(channel)))

    def opened(self, _channel: Channel) -> None:
        """Request the first batch, unless this is a second connection."""
        self.last_activity = time.monotonic()
        if not self.error:
            self._request()

    def lost(self, reason: BrokerError) -> None:
        """End: the broker has requeued everything, and a new connection would begin at the head again."""
        self.error = reason

    def acknowledge(self, tags: list[int]) -> None:
        """Take the messages of these delivery tags out of the queue, with the next commit."""
        self._to_acknowledge += tags

    def tick(self) -> None:
        """Acknowledge what belongs to finished batches, and request the next batch."""
        channel = self.connection.channel
        if channel and not self._leaving and not self.error and not self._committing:
            if tags := [tag for tag in self._to_acknowledge if tag <= self._last_tag]:
                self._to_acknowledge = [tag for tag in self._to_acknowledge if tag > self._last_tag]
                self._commit(channel, tags)
            self._request()

    def leave(self) -> None:
        """Acknowledge all, and give back the rest: by a nack where that keeps the order, else by closing."""
        self._leaving = True
        channel = self.connection.channel
        if channel and not self._committing and not self.finished:
            tags, self._to_acknowledge = self._to_acknowledge, []
            self._commit(channel, tags, nack=not self._consumers and nack_keeps_order(channel))

    def _commit(self, channel: Channel, tags: list[int], *, nack: bool = False) -> None:
        last = self._leaving

        def on_commit(_frame: object) -> None:
            self._committing, self.finished, self.last_activity = False, last, time.monotonic()
            self.acknowledged += len(tags)

        for tag in tags:
            channel.basic_ack(tag)
        if nack:
            channel.basic_nack(0, multiple=True, requeue=True)
        self._committing, self.last_activity = True, time.monotonic()
        channel.tx_commit(self._guarded(on_commit))

    def _request(self) -> None:
        channel = self.connection.channel
        wanted = self._visitor.wants_more() or self._redelivered
        if not channel or self._consumers or self._leaving or self.ended or not wanted:
            return
        self._expected = self._visitor.next_batch(self.seen, self._bytes_seen, self.left)
        for prefetch in prefetch_counts(self._expected):
            tag = next(self._new_tags)
            self._consumers.append(tag)
            channel.basic_qos(prefetch_count=prefetch)
            channel.basic_consume(self.topology.dead, self._guarded(self._on_message), consumer_tag=tag)

    def _on_count(self, frame: Any) -> None:
        self.total = frame.method.message_count

    def _on_message(self, channel: Channel, method: Basic.Deliver, properties: Any, body: bytes) -> None:
        if self._leaving:
            return
        self.seen += 1
        self._expected -= 1
        self._bytes_seen += len(body)
        tag, self._redelivered = method.delivery_tag or 0, bool(method.redelivered)
        self.last_activity = time.monotonic()
        self._visitor.visit(tag, Message.with_origin(body, received(properties)))
        if not self._expected:
            *others, last = self._consumers
            for other in others:
                channel.basic_cancel(other)
            channel.basic_cancel(last, self._guarded(lambda _: self._on_cancelled(tag)))

    def _on_cancelled(self, last_tag: int) -> None:
        self._consumers, self._last_tag = [], last_tag
        self._request()


def prefetch_counts(size: int) -> list[int]:
    """The prefetch count of each of the consumers that together request `size` messages."""
    return [min(MAX_PREFETCH, size - start) for start in range(0, size, MAX_PREFETCH)]


def nack_keeps_order(channel: Channel) -> bool:
    """Whether the broker is new enough for NACK_KEEPS_ORDER; one that does not tell its version is not."""
    version = str((channel.connection.server_properties or {}).get("version"))
    return tuple(map(int, re.findall(r"\d+", version)[:2])) >= NACK_KEEPS_ORDER
