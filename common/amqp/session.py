"""Session: one try at a connection and its channel, from the first packet to its end. It is never used again."""

from collections.abc import Callable
from typing import Protocol

from pika import ConnectionParameters, SelectConnection
from pika.channel import Channel
from pika.exceptions import AMQPError

from common.amqp.errors import BrokerError, Kind, explain
from common.amqp.plain import PlainConnection
from common.process.run import CLOSE_TIMEOUT, Process

UNANSWERED = BrokerError(Kind.TOPOLOGY, "no answer to the declarations in MQ_CONNECT_TIMEOUT")
CANCELLED = BrokerError(
    Kind.TOPOLOGY,
    "the broker cancelled the consumer: the queue was deleted, its leader moved, or a handler took longer than the "
    "broker's consumer_timeout",
)


class SessionOwner(Protocol):
    """Receives a session's events until it drops the session."""

    def on_channel(self, channel: Channel) -> None:
        """The channel is there to declare and select on."""

    def on_lost(self, broker_error: BrokerError) -> None:
        """It came to nothing, or was lost."""

    def on_blocked(self, blocked: bool) -> None:
        """The broker reads nothing from it, for an alarm of its own; or does again."""


def connection_class(wire: str) -> type[PlainConnection]:
    """By MQ_WIRE; plain pika's, too, where there is no `common.wire`."""
    if wire == "direct":
        try:
            from common.wire.connection import WireConnection  # noqa: PLC0415 - the package can be deleted

            return WireConnection
        except ModuleNotFoundError as missing:
            if not str(missing.name).startswith("common.wire"):
                raise
    return PlainConnection


class Session:
    """Connects at once. A closed channel ends it like a lost connection: there is one way of recovery. I/O thread."""

    def __init__(
        self, owner: SessionOwner, parameters: ConnectionParameters, process: Process, timeout: float, wire: str
    ) -> None:
        """`timeout` seconds are from the open connection until `settled`; before it pika's own time-outs hold.

        `wire` is MQ_WIRE.
        """
        self._owner: SessionOwner | None = owner
        self._process, self._timeout = process, timeout
        self._settled: Callable[[], None] = lambda: None
        self._connection = connection_class(wire)(
            parameters, process.loop, process.guarded(self._on_open), process.guarded(self._on_close)
        )

    def settled(self) -> None:
        """What the owner asked for on the channel is accepted."""
        self._settled()

    def drop(self) -> None:
        """Close it and hear nothing of it any more: its last callbacks may come late."""
        self._owner = None
        self.close()

    def close(self) -> bool:
        """Begin the closing handshake; whether there is one, which ends with `on_lost`."""
        self._settled()
        try:
            # One that is still opening ends by pika's time-outs: closing it breaks an assertion of pika's.
            if self._connection.is_open:
                self._connection.close()
                self._process.call_later(CLOSE_TIMEOUT, self._connection.abort)
                return True
        except (AMQPError, OSError):
            pass  # it is gone already, which is what we wanted
        return False

    def _on_open(self, connection: SelectConnection) -> None:
        if self._owner is None:
            self.close()
            return
        guarded, owner = self._process.guarded, self._owner
        self._settled = self._process.call_later(self._timeout, lambda: self._end(UNANSWERED))
        connection.add_on_connection_blocked_callback(guarded(lambda *_: self._on_blocked(True)))
        connection.add_on_connection_unblocked_callback(guarded(lambda *_: self._on_blocked(False)))
        channel = connection.channel(on_open_callback=guarded(owner.on_channel))
        channel.add_on_close_callback(guarded(lambda _, error: self._on_channel_close(error)))
        # Queue deleted, leader moved, consumer timeout: the broker cancels, and no delivery would come any more.
        channel.add_on_cancel_callback(guarded(lambda _: self._end(CANCELLED)))

    def _on_blocked(self, blocked: bool) -> None:
        if self._owner:  # one that was dropped may be blocked while it closes, and its successor is not
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
