"""Session: one try at a connection and its channel, from the first packet to its end. A session is never reused."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pika import ConnectionParameters, SelectConnection
from pika.exceptions import AMQPError

from common.amqp.errors import BrokerError, Kind, explain
from common.amqp.plain import IOServices, PlainConnection
from common.process.run import CLOSE_TIMEOUT, Process

if TYPE_CHECKING:
    from common.amqp.connection import Connection

UNANSWERED = BrokerError(Kind.TOPOLOGY, "no answer to the declarations in MQ_CONNECT_TIMEOUT")
CANCELLED = BrokerError(
    Kind.TOPOLOGY,
    "the broker cancelled the consumer: the queue was deleted, its leader moved, or a handler took longer than the "
    "broker's consumer_timeout",
)


def connection_class(wire: str) -> type[PlainConnection]:
    """The connection class of MQ_WIRE; plain pika's also where the package `common.wire` was deleted."""
    if wire == "direct":
        try:
            from common.wire.connection import WireConnection  # noqa: PLC0415 - the package can be deleted

            return WireConnection
        except ModuleNotFoundError as missing:
            if not str(missing.name).startswith("common.wire"):
                raise
    return PlainConnection


class Session:
    """Connects at once. A closed channel ends the session like a lost connection: one way of recovery. I/O thread.

    Tells `owner` of its open channel, of alarms and of its end, until the owner drops it.
    """

    def __init__(
        self,
        owner: "Connection",
        parameters: ConnectionParameters,
        process: Process,
        timeout: float,
        wire: str,
        *,
        tries: int = 0,
    ) -> None:
        """Allow `timeout` seconds from the open connection to `settled`; before that, pika's time-outs hold.

        `wire` is MQ_WIRE; `tries` failed since the last open connection.
        """
        self._owner: Connection | None = owner
        self._process, self._timeout = process, timeout
        self.settled: Callable[[], None] = lambda: None  # to be called when the broker has accepted the declarations
        self._connection = connection_class(wire)(
            parameters, IOServices(process.loop, tries), process.guarded(self._on_open), process.guarded(self._on_close)
        )

    def drop(self) -> None:
        """Close, and tell the owner nothing more: pika's last callbacks may come late."""
        self._owner = None
        self.close()

    def close(self) -> bool:
        """Begin the closing handshake. True if there is a handshake, which ends with `on_lost`."""
        self.settled()
        try:
            # A connection that is still opening ends by pika's time-outs: closing it breaks an assertion of pika's.
            if self._connection.is_open:
                self._connection.close()
                self._process.call_later(CLOSE_TIMEOUT, self._connection.abort)
                return True
        except (AMQPError, OSError):
            pass  # closed already
        return False

    def update_secret(self, secret: str, on_taken: Callable[[], None]) -> None:
        """Give the broker another secret for this connection; one that it refuses ends the connection."""
        with suppress(AMQPError):  # it is closing already
            done = self._process.guarded(lambda _: on_taken())
            self._connection.update_secret(secret, "MQ_URL_FILE changed", done)

    def _on_open(self, connection: SelectConnection) -> None:
        if self._owner is None:
            self.close()
            return
        guarded, owner = self._process.guarded, self._owner
        self.settled = self._process.call_later(self._timeout, lambda: self._end(UNANSWERED))
        connection.add_on_connection_blocked_callback(guarded(lambda *_: self._on_blocked(True)))
        connection.add_on_connection_unblocked_callback(guarded(lambda *_: self._on_blocked(False)))
        channel = connection.channel(on_open_callback=guarded(owner.on_channel))
        channel.add_on_close_callback(guarded(lambda _, error: self._on_channel_close(error)))
        # Queue deleted, leader moved, consumer timeout: the broker cancels, and no delivery would come any more.
        channel.add_on_cancel_callback(guarded(lambda _: self._end(CANCELLED)))

    def _on_blocked(self, blocked: bool) -> None:
        if self._owner:  # a dropped session may be blocked while it closes; its successor is not
            self._owner.on_blocked(blocked)

    def _on_channel_close(self, error: Exception) -> None:
        if not self._connection.is_closing:
            self._end(explain(error))

    def _on_close(self, _connection: SelectConnection, error: BaseException) -> None:
        self._end(explain(error))

    def _end(self, broker_error: BrokerError) -> None:
        owner, self._owner = self._owner, None
        self.close()
        if owner:
            owner.on_lost(broker_error)
