"""A handler for these tests."""

from common.message import Message
from consumer.outcome import Reject


def reject(message: Message) -> None:
    """Look at all of it, as handlers do, and park it."""
    seen = message.headers, message.message_id, message.content_type, message.attempt
    raise Reject(f"{len(seen)} things")
