"""Delivery: a message and the one channel on which it may be settled."""

from collections.abc import Iterable
from typing import NamedTuple

from common.message import Message
from common.wire.properties import Received
from consumer.prefetch import SUSPECT


class Delivery(NamedTuple):
    """`channel` is compared and never used by the workers: a tag of another channel names another message."""

    channel: object
    tag: int
    message: Message


def as_it_came(message: Message) -> Message:
    """With its properties anew: a handler can change those that it has, and ours count the attempts."""
    came = message.properties
    return Message(message.body, properties=came.again()) if isinstance(came, Received) else message


UNREAD = Message(b"")  # what a delivery has whose body was not kept

DELIVERY_COUNT = "x-delivery-count"


def worn(message: Message) -> bool:
    """Whether it was lost so often that it would look like what kills the process after one delivery more."""
    # Read aside: decoded headers keep many times their bytes, and most of what is asked about is not needed any more.
    return delivery_count(as_it_came(message)) >= SUSPECT - 1


def by_wear(deliveries: Iterable[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    """Those that are worn, and the others, each in their order."""
    tired: list[Delivery] = []
    others: list[Delivery] = []
    for delivery in deliveries:
        (tired if worn(delivery.message) else others).append(delivery)
    return tired, others


def delivery_count(message: Message) -> int:
    """How often it was delivered before, by the broker's count."""
    count = message.headers.get(DELIVERY_COUNT, 0)
    return count if isinstance(count, int) else 0
