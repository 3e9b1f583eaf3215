"""Connection: one AMQP connection and channel, kept open through five named states."""

import time
from collections.abc import Callable

import structlog
from pika import SelectConnection
from pika.channel import Channel
from pika.exceptions import AMQPError

from common import metrics
from common.backoff import Backoff
from common.broker_url import BrokerUrl
from common.channel_user import ChannelUser
from common.difference import Difference
from common.parameters import connection_parameters
from common.process import Process
from common.refusal import Kind, Refusal, broker_said, explain
from common.settings import Settings
from common.state import State

log = structlog.get_logger()

UNANSWERED = Refusal(Kind.TOPOLOGY, "no answer to the declarations in MQ_CONNECT_TIMEOUT")
CANCELLED = Refusal(Kind.TOPOLOGY, "the broker cancelled the consumer: the queue was deleted, or its leader moved")


class Connection:
    """Keeps one connection open, with backoff, until `close`. All of it runs on the I/O thread."""

    def __init__(self, name: str, process: Process, settings: Settings, user: ChannelUser) -> None:
        self.name = name
        self.state = State.CLOSED  # these are read by the http thread
        self.blocked = False
        self.refusal: Refusal | None = None  # why it is not open
        self.broker: BrokerUrl | None = None
        self._process, self._settings, self._user = process, settings, user
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._cancel_timer: Callable[[], None] = lambda: None
        self._backoff = Backoff(settings.mq_backoff_max)
        self._brokers = 1
        self._opened_at = 0.0
        metrics.RECONNECTS.labels(name)
        metrics.CONNECTED.labels(name).set_function(lambda: self.state is State.OPEN)
        metrics.BLOCKED.labels(name).set_function(lambda: self.blocked)

    @property
    def channel(self) -> Channel | None:
        """The channel while OPEN, else None."""
        return self._channel if self.state is State.OPEN else None

    def reasons(self) -> list[str]:
        """Why the connection cannot be used now; empty when it can."""
        if self.state is not State.OPEN:
            return [f"{self.name}: {self.state.value}" + (f" ({self.refusal})" if self.refusal else "")]
        return [f"{self.name}: blocked"] if self.blocked else []

    def open(self) -> None:
        """Connect, and stay connected."""
        if self.state is State.CLOSED:
            self._connect()

    def close(self) -> None:
        """Leave for good; `state` becomes CLOSED when the broker has answered."""
        self._cancel_timer()
        if self._connection is None or not self._connection.is_open:
            self._connection = None
            self._become(State.CLOSED)
        elif self.state is not State.CLOSING:
            self._become(State.CLOSING)
            self._close_quietly(self._connection)

    def fail(self, reason: Refusal) -> None:
        """Drop the connection, since `reason`, and come back with a new one: the one way of recovery."""
        connection, self._connection = self._connection, None
        if connection:  # forgotten first, so that its last callbacks, which may come late, are not listened to
            self._close_quietly(connection)
        self._on_lost(reason)

    def accepted(self, channel: Channel) -> None:
        """The broker accepted all that `ChannelUser.prepare` asked for on `channel`."""
        if channel is self._channel and self.state is State.CONNECTING:
            self._cancel_timer()
            self._opened_at = time.monotonic()
            self._become(State.OPEN)
            self._user.opened(channel)

    def _connect(self) -> None:
        self._become(State.CONNECTING)
        guarded = self._process.guarded
        try:
            urls = self._settings.broker_urls()
            self._brokers = len(urls)
            self.broker = urls[self._backoff.which(len(urls))]
            parameters = connection_parameters(self.broker, self._settings, self.name)
        except (OSError, ValueError) as error:  # a file of ours that changed since the start
            self._on_lost(Refusal(Kind.OTHER, f"MQ_URL_FILE or MQ_TLS files: {error}"))
            return
        self._connection = SelectConnection(
            parameters,
            on_open_callback=guarded(self._on_open),
            on_open_error_callback=guarded(self._on_close),
            on_close_callback=guarded(self._on_close),
            custom_ioloop=self._process.loop,
        )

    def _on_open(self, connection: SelectConnection) -> None:
        if connection is not self._connection:
            return
        # Until here pika's own time-outs held, and closing now would break an assertion of pika's.
        timeout = self._settings.mq_connect_timeout
        self._cancel_timer = self._process.call_later(timeout, lambda: self.fail(UNANSWERED))
        guarded = self._process.guarded
        connection.add_on_connection_blocked_callback(guarded(lambda *_: self._on_blocked(True)))
        connection.add_on_connection_unblocked_callback(guarded(lambda *_: self._on_blocked(False)))
        self._channel = connection.channel(on_open_callback=guarded(self._on_channel_open))
        self._channel.add_on_close_callback(guarded(self._on_channel_close))

    def _on_channel_open(self, channel: Channel) -> None:
        if channel is self._channel:
            # Queue deleted, leader moved, consumer timeout: the broker cancels, and no delivery would come any more.
            channel.add_on_cancel_callback(self._process.guarded(lambda _: self.fail(CANCELLED)))
            self._user.prepare(channel)

    def _on_channel_close(self, channel: Channel, error: Exception) -> None:
        if channel is self._channel and self.state is not State.CLOSING:
            refusal = explain(error)
            if "inequivalent arg" in refusal.text and self._connection:
                self._channel = None
                self._difference = Difference(
                    self._connection,
                    self._user.topology.queues,
                    refusal.text,
                    self._process.guarded(self._on_difference),
                )
            else:
                self.fail(refusal)

    def _on_difference(self, text: str) -> None:
        self.fail(broker_said(text) or Refusal(Kind.TOPOLOGY, text))

    def _on_close(self, connection: SelectConnection, error: BaseException) -> None:
        if connection is self._connection:
            self._connection = None
            self._on_lost(explain(error))

    def _on_blocked(self, blocked: bool) -> None:
        self.blocked = blocked
        log.warning("blocked by the broker's alarm" if blocked else "unblocked", connection=self.name)

    def _on_lost(self, reason: Refusal) -> None:
        self._cancel_timer()
        was, self._channel, self.blocked = self.state, None, False
        if was is State.CLOSING:
            self._become(State.CLOSED)
            return
        self.refusal = reason
        if was is State.OPEN:
            delay = self._backoff.lost(time.monotonic() - self._opened_at)
        else:
            delay = self._backoff.failed(self._brokers)
        self._become(State.BACKING_OFF, delay)
        self._cancel_timer = self._process.call_later(delay, self._connect)
        if was is State.OPEN:
            self._user.lost(reason)

    def _become(self, state: State, delay: float = 0.0) -> None:
        """The only writer of the state, and the only place that logs and counts a change of it."""
        was, self.state = self.state, state
        if state is State.OPEN:
            self.refusal = None
            log.info("connected", connection=self.name, broker=str(self.broker))
        elif state is State.BACKING_OFF:
            broker = str(self.broker) if self.broker else None
            log.warning(
                "not connected", connection=self.name, broker=broker, reason=str(self.refusal), retry_in=round(delay, 2)
            )
            if was is State.OPEN:
                metrics.RECONNECTS.labels(self.name).inc()
        else:
            log.debug("connection", connection=self.name, state=state.value)

    @staticmethod
    def _close_quietly(connection: SelectConnection) -> None:
        try:
            if connection.is_open:  # one that is still opening ends by pika's time-outs
                connection.close()
        except (AMQPError, OSError):
            pass  # it is gone already, which is what we wanted
