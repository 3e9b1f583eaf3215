"""Delivery: a message and the one channel on which it may be settled."""

from typing import NamedTuple

from common.message import Message


class Delivery(NamedTuple):
    """`channel` is compared and never used by the workers: a tag of another channel names another message."""

    channel: object
    tag: int
    message: Message


UNREAD = Message(b"")  # what a delivery has whose body was not kept
