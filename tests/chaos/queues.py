"""What lies in a pair's queues, asked over AMQP, since the management page's counts are some seconds old."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from tests.chaos.load import name_of

RETRIES = ("250ms", "500ms")  # CONSUMER_RETRY_DELAYS


class Queues:
    """The queue `name` and those that are named from it, on the broker at `port`."""

    def __init__(self, port: int, name: str) -> None:
        self.name, self.dead, self.forwarded = name, f"{name}.dead", f"{name}.out"
        self._retries = [f"{name}.retry.{delay}" for delay in RETRIES]
        self._port = port

    def depth(self, *names: str) -> int:
        """Messages that are ready in these queues; none in a queue that is not there."""
        total = 0
        with self._connection() as connection:
            for name in names:
                with _if_there(connection) as channel:
                    total += channel.queue_declare(name, passive=True).method.message_count
        return total

    def waiting(self) -> int:
        """Messages in the queue and its retry queues."""
        return self.depth(self.name, *self._retries)

    def parked(self) -> int:
        """Messages in the dead-letter queue."""
        return self.depth(self.dead)

    def delete(self) -> None:
        """Delete the queue alone."""
        with self._connection() as connection:
            connection.channel().queue_delete(self.name)

    def delete_forwarded(self) -> None:
        """Delete the queue that a consumer forwards to."""
        with self._connection() as connection:
            connection.channel().queue_delete(self.forwarded)

    def empty(self) -> tuple[list[str], list[str]]:
        """The names of messages that are parked, and of those in the other queues; then no queue is left.

        Nobody may consume from them any more.
        """
        return self._empty(self.dead), [name for queue in (self.name, *self._retries) for name in self._empty(queue)]

    def _empty(self, queue: str) -> list[str]:
        names = []
        with self._connection() as connection, _if_there(connection) as channel:
            channel.queue_declare(queue, passive=True)
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    break
                names.append(name_of(body or b"", properties.headers if properties else None))
            channel.queue_delete(queue)
        return names

    @contextmanager
    def _connection(self) -> Iterator[pika.BlockingConnection]:
        parameters = pika.ConnectionParameters("127.0.0.1", self._port, blocked_connection_timeout=10)
        connection = pika.BlockingConnection(parameters)
        try:
            yield connection
        finally:
            if connection.is_open:
                connection.close()


@contextmanager
def _if_there(connection: pika.BlockingConnection) -> Iterator[BlockingChannel]:
    """A channel on which a queue may turn out to be missing."""
    try:
        yield connection.channel()
    except ChannelClosedByBroker as closed:
        if closed.reply_code != 404:
            raise
