"""Intake: the consumers of a channel and what they received. I/O thread only."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from pika.channel import Channel

from common.amqp.plain import Came
from common.message import Message
from common.process.run import Process
from consumer.delivery import UNREAD, Delivery


def consumer_tags() -> Iterator[str]:
    """The names of the consumers of a channel: each once, as pika takes none a second time, and in rising order.

    RabbitMQ 3.10 gives back in the order of these names. And each delivery has one: pika's own, of 38 bytes, make it a
    tenth longer.
    """
    return map("{:06}".format, count(1))


class Intake:
    """Opened with a prefetch of 1 that the channel has already, then widened; shut, it can be opened again.

    `on_turn`, a guarded function, is called once for all that one turn of the loop reads, behind them.
    """

    def __init__(self, process: Process, queue: str, on_turn: Callable[[], None], on_shut: Callable[[], None]) -> None:
        """`on_shut` hears that nothing comes any more."""
        self.shutting = False  # what comes now is to go back
        self._process, self._queue = process, queue
        self._on_turn, self._on_shut = on_turn, on_shut
        self._channel: Channel | None = None
        self._received: list[tuple[Channel, list[Came]]] = []
        self._consumer_tags: list[str] = []
        self._names = consumer_tags()

    @property
    def shut(self) -> bool:
        """Whether it was, on a channel that is still there."""
        return bool(self._channel) and not self._consumer_tags

    def open(self, channel: Channel) -> None:
        """Let one come."""
        self._channel, self._consumer_tags = channel, []
        self._consume(channel)

    def widen(self, more: int) -> None:
        """Let `more` come by a further consumer of the same channel, so that the order holds."""
        if more and self._channel and self._consumer_tags and not self.shutting:
            self._channel.basic_qos(prefetch_count=more)
            self._consume(self._channel)

    def close(self) -> None:
        """Let nothing more come.

        pika rejects what arrives once a cancel is sent, and a rejection counts against the delivery limit. So the
        cancel waits for the answer to another question, which comes behind all that was on its way.
        """
        channel = self._channel
        if channel and self._consumer_tags and not self.shutting:
            self.shutting = True
            channel.basic_qos(prefetch_count=1, callback=self._process.guarded(lambda _: self._cancel(channel)))

    def lost(self) -> None:
        """The channel is gone, and with it what came and was not taken."""
        self._channel, self._received, self._consumer_tags, self.shutting = None, [], [], False

    def take(self) -> tuple[list[Delivery], list[int]]:
        """All that came, each once; and the bytes that each keeps."""
        received, self._received = self._received, []
        made = Message.with_origin
        deliveries = [
            Delivery(channel, tag, made(body, properties))
            for channel, came in received
            for tag, properties, body in came
        ]
        return deliveries, [len(body) + len(properties) for _, came in received for _, properties, body in came]

    def take_unread(self) -> list[Delivery]:
        """The same without their bodies, which would only fill the memory."""
        received, self._received = self._received, []
        return [Delivery(channel, tag, UNREAD) for channel, came in received for tag, _, _ in came]

    def _on_deliveries(self, channel: Channel, came: list[Came]) -> None:
        # Not guarded, and so without anything that can fail: it is called most often.
        if not self._received:
            self._process.call_behind(self._on_turn)
        self._received.append((channel, came))

    def _consume(self, channel: Channel) -> None:
        self._consumer_tags.append(next(self._names))
        connection: Any = channel.connection
        connection.consume(channel, self._queue, self._consumer_tags[-1], self._on_deliveries)

    def _cancel(self, channel: Channel) -> None:
        if channel is self._channel:
            *others, last = self._consumer_tags
            for tag in others:
                channel.basic_cancel(tag)
            channel.basic_cancel(last, self._process.guarded(lambda _: self._on_cancel_ok(channel)))

    def _on_cancel_ok(self, channel: Channel) -> None:
        if channel is self._channel:
            self._consumer_tags, self.shutting = [], False
            self._on_shut()
