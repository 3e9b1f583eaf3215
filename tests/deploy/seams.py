"""A handler for tests."""

from common.message import Message
from consumer.outcome import Reject


def reject_odd_and_fail_even_once(message: Message) -> None:
    """`Hello World 1!` is parked, `Hello World 2!` comes again once."""
    number = int(message.text.split()[-1].rstrip("!"))
    if number % 2:
        raise Reject("odd")
    if message.attempt == 1:
        raise ValueError("not yet")
