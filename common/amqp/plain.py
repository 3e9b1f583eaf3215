"""PlainConnection: sends and receives messages with pika's public methods. `common.wire` does the same faster."""

from collections.abc import Callable
from typing import Any

from pika import ConnectionParameters, SelectConnection
from pika.channel import Channel

from common.amqp.resolver import IOServices
from common.message import Message
from common.properties import Properties, received

Came = tuple[int, Properties, bytes, bool]  # a delivery: tag, properties, body, whether it is delivered again
CONSUMER_TIMEOUT = "x-consumer-timeout"  # RabbitMQ 4.3 goes by it before all policies; older ones pass over it
BROKERS_CONSUMER_TIMEOUT = 1800.0  # seconds, the default, for which the prefetch is made as well
OnDeliveries = Callable[[Channel, list[Came]], None]  # gets deliveries in their order; must not raise


# The default priority, which any queue takes as an argument but a stream (3.10 to 4.3). A stream would skip what came
# before its consumer, and keep what is acknowledged.
NO_STREAM = {"x-priority": 0}


def consumer_timeout(handler_timeout: float) -> float:
    """Seconds in which each delivery is settled: it may wait for one other handler before its own, and for a stop."""
    return max(BROKERS_CONSUMER_TIMEOUT, 2 * handler_timeout + 300.0)


class PlainConnection(SelectConnection):
    """One try at a connection, from the first packet to its end. I/O thread only."""

    def __init__(
        self,
        parameters: ConnectionParameters,
        services: IOServices,
        on_open: Callable[[Any], None],
        on_close: Callable[[Any, BaseException], None],
    ) -> None:
        """Connect at once. `on_close` is also called for a failed try."""
        super().__init__(
            parameters,
            on_open_callback=on_open,
            on_open_error_callback=on_close,
            on_close_callback=on_close,
            custom_ioloop=services,
        )

    def consume(
        self,
        channel: Channel,
        queue: str,
        consumer_tag: str,
        on_deliveries: OnDeliveries,
        arguments: dict[str, int] | None = None,
    ) -> None:
        def on_message(_: object, method: Any, properties: Any, body: bytes) -> None:
            on_deliveries(channel, [(method.delivery_tag, received(properties), body, method.redelivered)])

        channel.basic_consume(queue, on_message, consumer_tag=consumer_tag, arguments=NO_STREAM | (arguments or {}))

    def publish(self, channel: Channel, routing_key: str, message: Message, exchange: str = "") -> None:
        """Publish, mandatory. Raises what an encoder raises, and then has sent nothing."""
        channel.basic_publish(exchange, routing_key, message.body, message.properties, mandatory=True)

    def abort(self) -> None:
        """Do nothing: pika has no public way to end an unanswered closing handshake; its heartbeat does in time."""
