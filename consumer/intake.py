"""Intake: the consumers of one channel, by which deliveries come. I/O thread only."""

from collections.abc import Callable, Iterator
from itertools import count

from pika import spec
from pika.channel import Channel

from common.message import Message
from common.process.run import Process
from common.wire.properties import Received
from consumer.acks import Unsettled
from consumer.delivery import UNREAD, Delivery


class Intake:
    """Opened with a prefetch of 1 that the channel has already, then widened; shut, it can be opened again."""

    def __init__(
        self, process: Process, queue: str, on_message: Callable[..., None], on_shut: Callable[[], None]
    ) -> None:
        """`on_message`, once a delivery, must not raise; `on_shut` hears that nothing comes any more."""
        self.shutting = False  # what comes now is to go back
        self._guarded, self._queue = process.guarded, queue
        self._on_message, self._on_shut = on_message, on_shut
        self._channel: Channel | None = None
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
            channel.basic_qos(prefetch_count=1, callback=self._guarded(lambda _: self._cancel(channel)))

    def lost(self) -> None:
        """The channel is gone."""
        self._channel, self._consumer_tags, self.shutting = None, [], False

    def _consume(self, channel: Channel) -> None:
        self._consumer_tags.append(next(self._names))
        channel.basic_consume(self._queue, self._on_message, consumer_tag=self._consumer_tags[-1])

    def _cancel(self, channel: Channel) -> None:
        if channel is self._channel:
            *others, last = self._consumer_tags
            for tag in others:
                channel.basic_cancel(tag)
            channel.basic_cancel(last, self._guarded(lambda _: self._on_cancel_ok(channel)))

    def _on_cancel_ok(self, channel: Channel) -> None:
        if channel is self._channel:
            self._consumer_tags, self.shutting = [], False
            self._on_shut()


class Arrivals:
    """`hand_on`, a guarded function, is called once for all that one turn of the loop reads, behind them."""

    def __init__(self, process: Process, unsettled: Unsettled, hand_on: Callable[[], None]) -> None:
        """What is taken counts as `unsettled`."""
        self._process, self._unsettled, self._hand_on = process, unsettled, hand_on
        self._came: list[tuple[Channel, spec.Basic.Deliver, Received, bytes]] = []

    def add(self, channel: Channel, method: spec.Basic.Deliver, properties: Received, body: bytes) -> None:
        """What pika calls for each. Not guarded, and so without anything that can fail: it is called most often."""
        if not self._came:
            self._process.call_behind(self._hand_on)
        self._came.append((channel, method, properties, body))

    def take(self) -> tuple[list[Delivery], list[int]]:
        """All of them, each once; and the bytes that each keeps."""
        came, self._came = self._came, []
        # Their properties as they came: to decode them is a fifth of what a delivery costs.
        sizes = [len(body) + len(properties.encoded) for _, _, properties, body in came]
        deliveries = [
            Delivery(channel, method.delivery_tag or 0, Message(body, properties=properties))
            for channel, method, properties, body in came
        ]
        self._unsettled.delivered([each.tag for each in deliveries], sizes)
        return deliveries, sizes

    def take_unread(self) -> list[Delivery]:
        """The same without their bodies, which would only fill the memory."""
        came, self._came = self._came, []
        deliveries = [Delivery(channel, method.delivery_tag or 0, UNREAD) for channel, method, *_ in came]
        self._unsettled.delivered([each.tag for each in deliveries], [0] * len(deliveries))
        return deliveries

    def clear(self) -> None:
        """They are lost, with their channel."""
        self._came = []


def consumer_tags() -> Iterator[str]:
    """Each once, as pika takes none a second time on a channel, and in rising order.

    RabbitMQ 3.10 gives back in the order of these names. And each delivery has one: pika's own, of 38 bytes, make it a
    tenth longer.
    """
    return map("{:06}".format, count(1))
