"""Intake: the consumers of a channel and what they received. I/O thread only."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

from pika.channel import Channel

from common.amqp.plain import Came
from common.message import Message
from common.process.run import Process
from consumer.delivery import Delivery

# A broker decodes the headers of all that it sends ahead. Bytes that it took for each byte of them, at the worst moment
# (RabbitMQ 4.3 of 1 GiB, 80 messages for a client that does not read): 38 with 18,000 headers of 7 bytes, 76 with an
# array of empty values, under 3 with one long text.
PROPERTIES_WEIGHT = 40
SINGLE_AFTER = 8  # deliveries by a first consumer and none by a second, which would get every other one


def consumer_tags() -> Iterator[str]:
    """Short names for the consumers of a channel, each once and in rising order.

    pika takes no name a second time, and RabbitMQ 3.10 requeues in the order of the names. Each delivery carries its
    consumer's name: pika's own names, of 38 bytes, make a small delivery a tenth longer.
    """
    return map("{:06}".format, count(1))


class Intake:
    """Consumes with a prefetch of 1, which the channel has already, then wider; after a cancel it can consume again.

    `on_turn`, a guarded function, is called once behind all that one turn of the loop reads; `on_cancelled` when
    nothing comes any more.
    """

    def __init__(
        self, process: Process, queue: str, on_turn: Callable[[], None], on_cancelled: Callable[[], None]
    ) -> None:
        self.arguments: dict[str, int] = {}  # of each consumer
        self.cancelling = False  # what comes now is to be requeued
        self._process, self._queue = process, queue
        self._on_turn, self._on_cancelled = on_turn, on_cancelled
        self._channel: Channel | None = None
        self._received: list[tuple[Channel, list[Came]]] = []
        self._consumer_tags: list[str] = []
        self._names = consumer_tags()
        self._silent = ""  # the second consumer, as long as it brought nothing
        self._beside = 0  # deliveries that the first brought meanwhile

    @property
    def cancelled(self) -> bool:
        """True after a cancel on a channel that is still open."""
        return bool(self._channel) and not self._consumer_tags

    @property
    def single(self) -> bool:
        """True if the queue has a single active consumer, so that a second of this channel gets nothing."""
        return bool(self._silent) and self._beside >= SINGLE_AFTER

    def consume(self, channel: Channel, prefetch: int = 1) -> None:
        """Let so many deliveries come."""
        self._channel = channel
        if prefetch > 1:
            channel.basic_qos(prefetch_count=prefetch)
        self._add_consumer(channel)

    def widen(self, more: int) -> None:
        """Let `more` come by another consumer of the same channel, so that the order holds."""
        if more and self._channel and self._consumer_tags and not self.cancelling:
            self._channel.basic_qos(prefetch_count=more)
            self._add_consumer(self._channel)

    def cancel(self) -> None:
        """Let nothing more come.

        pika rejects what arrives once a cancel is sent, and a rejection counts against the delivery limit. So the
        cancel waits for the reply to another request, which comes behind all that was on its way.
        """
        channel = self._channel
        if channel and self._consumer_tags and not self.cancelling:
            self.cancelling = True
            channel.basic_qos(prefetch_count=1, callback=self._process.guarded(lambda _: self._cancel(channel)))

    def lost(self) -> None:
        """Forget the channel, and what it brought and nobody took."""
        self._channel, self._received, self._consumer_tags, self.cancelling = None, [], [], False

    def take(self) -> tuple[list[Delivery], list[int]]:
        """All that came, each delivery once; and how many bytes each keeps, its properties decoded."""
        received, self._received = self._received, []
        made = Message.with_origin
        deliveries = [
            Delivery(channel, tag, made(body, properties), redelivered)
            for channel, came in received
            for tag, properties, body, redelivered in came
        ]
        return deliveries, [
            len(body) + len(properties) * PROPERTIES_WEIGHT for _, came in received for _, properties, body, _ in came
        ]

    def _on_deliveries(self, consumer_tag: str, channel: Channel, came: list[Came]) -> None:
        # Not guarded, and so without anything that can fail: it is called most often.
        if self._silent == consumer_tag:
            self._silent = ""
        self._beside += len(came)
        if not self._received:
            self._process.call_behind(self._on_turn)
        self._received.append((channel, came))

    def _add_consumer(self, channel: Channel) -> None:
        tag = next(self._names)
        self._consumer_tags.append(tag)
        self._silent, self._beside = tag if len(self._consumer_tags) == 2 else "", 0
        connection: Any = channel.connection
        connection.consume(channel, self._queue, tag, partial(self._on_deliveries, tag), self.arguments)

    def _cancel(self, channel: Channel) -> None:
        if channel is self._channel:
            first, *others = self._consumer_tags
            for tag in others:  # before the first: a single active consumer's successor would get deliveries
                channel.basic_cancel(tag)
            channel.basic_cancel(first, self._process.guarded(lambda _: self._on_cancel_ok(channel)))

    def _on_cancel_ok(self, channel: Channel) -> None:
        if channel is self._channel:
            self._consumer_tags, self.cancelling = [], False
            self._on_cancelled()
