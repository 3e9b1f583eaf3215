"""PlainConnection: sends and receives messages with pika's public methods. `common.wire` does the same faster."""

import errno
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any

from pika import ConnectionParameters, SelectConnection
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractIOReference
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from pika.channel import Channel

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


class IOServices(SelectorIOServicesAdapter):
    """pika's services of a loop, with a resolver in a daemon thread; given to a connection as its `custom_ioloop`.

    Python joins the thread of pika's resolver at exit, and a DNS server that does not answer holds that for half a
    minute: longer than a stopping pod may have. And pika's loop ends with an error for an address that no socket can be
    opened for (IPv6 where the kernel has none, any when no file descriptor is left): such addresses are left out here.
    """

    def __init__(self, loop: IOLoop, tries: int = 0) -> None:
        """`tries` failed before: pika gives up at the first address that accepts and is silent, so begin further on."""
        super().__init__(loop)  # type: ignore[arg-type]
        self.tries = tries

    def getaddrinfo(self, host: str, port: int, on_done: Callable[[Any], object], **hints: int) -> AbstractIOReference:  # type: ignore[override]
        """Look up `host`; `on_done` gets the addresses, or the error, on the I/O thread."""
        return _Lookup(self, host, port, on_done, hints)


class _Lookup(AbstractIOReference):
    def __init__(
        self, services: IOServices, host: str, port: int, on_done: Callable[[Any], object], hints: dict[str, int]
    ) -> None:
        self._on_done: Callable[[Any], object] | None = on_done  # None: told or cancelled; I/O thread only
        self._services = services
        hints["type"] = hints.pop("socktype", 0)
        # An ASCII name as bytes: for text, Python first loads the codec of international names.
        name = host.encode() if host.isascii() else host
        try:
            Thread(target=self._look_up, args=(name, port, hints), name="resolver", daemon=True).start()
        except RuntimeError as error:  # the container has used up its threads
            failed = OSError(errno.EAGAIN, str(error))
            services.add_callback_threadsafe(lambda: self._tell(failed))

    def cancel(self) -> bool:
        waited, self._on_done = self._on_done, None
        return waited is not None

    def _look_up(self, name: str | bytes, port: int, hints: dict[str, int]) -> None:
        try:
            found: Any = _usable(socket.getaddrinfo(name, port, **hints))
            if isinstance(found, list) and found:
                first = self._services.tries % len(found)
                found = found[first:] + found[:first]
        except Exception as error:  # noqa: BLE001 - the connection gets any error
            found = error
        self._services.add_callback_threadsafe(lambda: self._tell(found))

    def _tell(self, found: Any) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done:
            on_done(found)


def _usable(records: list[Any]) -> list[Any] | OSError:
    usable, error = [], None
    for record in records:
        try:
            socket.socket(record[0]).close()
            usable.append(record)
        except OSError as why:
            error = why
    return usable or error or records


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
