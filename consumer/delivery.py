"""Delivery: a message and the one channel on which it may be settled."""

from collections.abc import Iterable
from typing import NamedTuple

from common.message import Message

DELIVERY_COUNT = "x-delivery-count"  # the broker's: how often it delivered the message before
# A message that kills its process takes all that were sent ahead with it, and each loss counts against the limit. From
# so many losses on, a message may be the one that does.
SUSPECT = 3
UNREAD = Message(b"")  # what a delivery has whose body was not kept


class Delivery(NamedTuple):
    """`channel` is compared and never used by the workers: a tag of another channel names another message."""

    channel: object
    tag: int
    message: Message
    redelivered: bool = False
    came: Message | None = None  # what the broker has, where `message` is a copy that is tried again here

    @property
    def original(self) -> Message:
        """The message as the broker has it, whatever a handler did to it."""
        return (self.came or self.message).original()


Running = tuple[float, Delivery]
"""A handler that runs: since when, by `time.monotonic()`, and for what."""


def delivery_count(delivery: Delivery) -> int:
    """How often it was delivered before, by the broker's count.

    The broker passes on the count that a stranger wrote, as long as the delivery is the first.
    """
    # Decode a throw-away copy: a decoded table takes many times the bytes that came.
    count = delivery.original.headers.get(DELIVERY_COUNT, 0) if delivery.redelivered else 0
    return count if isinstance(count, int) else 0


def split_by_limit(deliveries: Iterable[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    """Those that one more delivery makes a SUSPECT, and the others, each in their order."""
    split: tuple[list[Delivery], list[Delivery]] = [], []
    for delivery in deliveries:
        split[delivery_count(delivery) < SUSPECT - 1].append(delivery)
    return split
