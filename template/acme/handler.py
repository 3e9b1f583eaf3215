"""The consumer's handler, CONSUMER_HANDLER=acme.handler:handle: a message is acknowledged when it returns."""

from common.message import Message
from consumer.outcome import Reject


def handle(message: Message) -> None:
    """Ship an order. It may come twice: make what is done here idempotent."""
    order = message.json()
    if order["total"] < 0:
        raise Reject("a negative total")
    print("shipped", order["order"])
