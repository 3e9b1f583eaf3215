"""Arrivals: what came since the last hand-over, made into deliveries all at a time. I/O thread only."""

from collections.abc import Callable

from pika import spec
from pika.channel import Channel

from common.envelope import Received
from common.message import Message
from common.process import Process
from consumer.acks import Unsettled
from consumer.delivery import UNREAD, Delivery


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
