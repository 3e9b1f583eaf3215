"""Two programs that the checker must catch: one says sent before it is, one drops what it received. For tests only."""

import sys
from typing import Any

from tests.chaos.peers import contract
from tests.chaos.peers.adapters import pika_tutorial


def cheat() -> None:
    """Believe each message sent, and publish four of five."""
    channel = pika_tutorial.channel_of(contract.url())
    for number, (name, body) in enumerate(contract.bodies()):
        contract.sender()(name)
        if number % 5:
            channel.basic_publish("", pika_tutorial.QUEUE, body, pika_tutorial.PERSISTENT)


def drop() -> None:
    """Acknowledge each message, and handle four of five."""

    def on_message(channel: Any, method: Any, _properties: object, body: bytes) -> None:
        if method.delivery_tag % 5:
            contract.handle(body)
        channel.basic_ack(method.delivery_tag)

    channel = pika_tutorial.channel_of(contract.url())
    channel.basic_consume(pika_tutorial.QUEUE, on_message)
    channel.start_consuming()


if __name__ == "__main__":
    {"produce": cheat, "consume": drop}[sys.argv[1]]()
