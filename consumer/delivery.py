"""Delivery: a message and the one channel on which it may be settled."""

from typing import NamedTuple

from common.envelope import Received
from common.message import Message


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
