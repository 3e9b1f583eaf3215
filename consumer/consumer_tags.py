"""Consumer tags: the names of the consumers of a channel."""

from collections.abc import Iterator
from itertools import count


def consumer_tags() -> Iterator[str]:
    """Each once, as pika takes none a second time on a channel, and in rising order.

    RabbitMQ 3.10 gives back in the order of these names. And each delivery has one: pika's own, of 38 bytes, make it a
    tenth longer.
    """
    return map("{:06}".format, count(1))
