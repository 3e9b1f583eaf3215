"""Handlers for tests."""

import time
from pathlib import Path

from common.message import Message
from consumer.outcome import Reject


def reject_odd_and_fail_even_once(message: Message) -> None:
    """`Hello World 1!` is parked, `Hello World 2!` comes again once."""
    number = int(message.text.split()[-1].rstrip("!"))
    if number % 2:
        raise Reject("odd")
    if message.attempt == 1:
        raise ValueError("not yet")


def moody(message: Message) -> None:
    """Work for a moment. While /tmp/moody is there, of five messages one is parked and two come again once."""
    time.sleep(0.002)
    number = int(message.text.split()[-1].rstrip("!")) % 5
    if Path("/tmp/moody").exists():
        if number == 0:
            raise Reject("moody")
        if number < 3 and message.attempt == 1:
            raise ValueError("not yet")
