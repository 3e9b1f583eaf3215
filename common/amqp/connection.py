"""Connection: one AMQP connection and its channel, kept open through five named states."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import Protocol

import structlog
from pika import ConnectionParameters, PlainCredentials, SSLOptions
from pika.channel import Channel

from common.amqp.backoff import Backoff
from common.amqp.errors import BrokerError, Kind
from common.amqp.session import Session
from common.observe import metrics
from common.process.run import Process
from common.settings.broker_url import BrokerUrl, parse_urls
from common.settings.shared import Settings

log = structlog.get_logger()
SECRET_CHECK_SECONDS = 1.0  # between looks into MQ_URL_FILE; a new secret is taken when two found the same
CONTENT_OVERHEAD = 20  # bytes of a content header's frame beside the properties


class State(Enum):
    """A loss while CONNECTING or OPEN leads to BACKING_OFF, and from there, after a delay, to CONNECTING."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    OPEN = "open"
    BACKING_OFF = "backing off"
    CLOSING = "closing"


class ChannelUser(Protocol):
    """What works on the channel, such as a publisher. All methods are called on the I/O thread."""

    def prepare(self, channel: Channel) -> None:
        """Declare and select; the callback of the last reply must call `Connection.accepted`."""

    def adapts(self, refusal: BrokerError) -> bool:  # noqa: ARG002 - for those who override it
        """Whether `prepare` will ask for something else now, after the broker refused what it asked for."""
        return False

    def opened(self, channel: Channel) -> None:
        """Begin: the broker accepted everything."""

    def lost(self, reason: BrokerError) -> None:
        """The channel is gone, with everything in flight on it."""


def connection_parameters(url: BrokerUrl, settings: Settings, name: str) -> ConnectionParameters:
    """Parameters that bound each of pika's waits. Raises OSError (also ssl.SSLError) for unusable TLS files."""
    heartbeat = round(settings.mq_heartbeat)
    return ConnectionParameters(
        host=url.host,
        port=url.port,
        virtual_host=url.vhost,
        credentials=PlainCredentials(url.username, url.password),
        ssl_options=SSLOptions(settings.tls_context(), url.host) if url.tls else None,
        heartbeat=heartbeat,
        blocked_connection_timeout=settings.mq_blocked_timeout,
        socket_timeout=settings.mq_connect_timeout,
        stack_timeout=settings.mq_connect_timeout,
        # TCP notices a dead peer, which acknowledges no packet, sooner than the missing heartbeat does.
        tcp_options={"TCP_USER_TIMEOUT": 2000 * heartbeat},
        client_properties={"connection_name": name, "product": "mq-pair"},
    )


class Connection:
    """Keeps one session open, with backoff, until `close`. I/O thread only.

    The http thread reads `state`, `blocked`, `broker_error` and `broker`.
    """

    def __init__(self, name: str, process: Process, settings: Settings, user: ChannelUser) -> None:
        self.name = name
        self.state = State.CLOSED
        self.blocked = False
        self.broker_error: BrokerError | None = None  # why the connection is not open
        self.broker: BrokerUrl | None = None
        self._process, self._settings, self._user = process, settings, user
        self._session: Session | None = None
        self._channel: Channel | None = None
        self._call_off: Callable[[], None] = lambda: None  # cancels the next try
        self._backoff = Backoff(settings.mq_backoff_max)
        self._brokers = 1
        self.failed = 0  # tries since the connection was open
        self._opened_at = 0.0
        metrics.RECONNECTS.labels(name)
        metrics.CONNECTED.labels(name).set_function(lambda: self.state is State.OPEN)
        metrics.BLOCKED.labels(name).set_function(lambda: self.blocked)

    @property
    def channel(self) -> Channel | None:
        """The channel while OPEN, else None."""
        return self._channel if self.state is State.OPEN else None

    @property
    def properties_room(self) -> int:
        """Bytes of properties that fit into a frame, by what was agreed with the broker last."""
        parameters = self._channel.connection.params if self._channel else ConnectionParameters()
        return int(parameters.frame_max) - CONTENT_OVERHEAD

    @property
    def all_failed(self) -> bool:
        """True when every broker has failed since the last open connection."""
        return self.failed >= self._brokers

    def reasons(self) -> list[str]:
        """Why the connection cannot be used now; empty when it can."""
        if self.state is not State.OPEN:
            return [f"{self.name}: {self.state.value}" + (f" ({self.broker_error})" if self.broker_error else "")]
        return [f"{self.name}: blocked"] if self.blocked else []

    def open(self) -> None:
        if self.state is State.CLOSED:
            self._connect()

    def close(self) -> None:
        """Close for good; `state` becomes CLOSED when the broker has answered."""
        self._call_off()
        self._become(State.CLOSING)
        if self._session and not self._session.close():
            self._session.drop()
            self._session = None
        if not self._session:
            self._become(State.CLOSED)

    def fail(self, broker_error: BrokerError) -> None:
        """Drop the session because of `broker_error` and open a new one: the one way of recovery."""
        if self._session:
            self._session.drop()
            self.on_lost(broker_error)

    def accepted(self, channel: Channel) -> None:
        """Become OPEN: the broker accepted everything that `ChannelUser.prepare` asked for on `channel`."""
        if channel is self._channel and self._session and self.state is State.CONNECTING:
            self._session.settled()
            self.failed, self._opened_at = 0, time.monotonic()
            self._become(State.OPEN)
            self._user.opened(channel)
            if self._settings.mq_url_file:
                self._watch_secret(self._session)

    def on_channel(self, channel: Channel) -> None:
        """The session's channel is open for declarations."""
        if self.state is State.CONNECTING:
            self._channel = channel
            self._user.prepare(channel)

    def on_blocked(self, blocked: bool) -> None:
        """The broker stopped reading because of an alarm (True), or reads again (False)."""
        self.blocked = blocked
        log.warning("blocked by the broker's alarm" if blocked else "unblocked", connection=self.name)

    def on_lost(self, broker_error: BrokerError) -> None:
        """The try failed, or the open session was lost."""
        was, self._session, self._channel, self.blocked = self.state, None, None, False
        if was is State.CLOSING:
            self._become(State.CLOSED)
            return
        if was is State.CONNECTING and self._user.adapts(broker_error):
            self._connect()
            return
        if self.broker and self.broker.user != self.broker.username:
            broker_error = broker_error._replace(text=self.broker.hide(broker_error.text))
        self.broker_error = broker_error
        if was is State.OPEN:
            delay = self._backoff.lost(time.monotonic() - self._opened_at)
        else:
            self.failed += 1
            delay = self._backoff.failed(self._brokers)
        self._become(State.BACKING_OFF, delay)
        self._call_off = self._process.call_later(delay, self._connect)
        if was is State.OPEN:
            self._user.lost(broker_error)

    def _connect(self) -> None:
        self._become(State.CONNECTING)
        settings = self._settings
        try:
            urls = settings.broker_urls()
            self._brokers = len(urls)
            self.broker = urls[self._backoff.which(len(urls))]
            parameters = connection_parameters(self.broker, settings, self.name)
        except (OSError, ValueError) as error:  # one of our files changed after the start
            self.on_lost(BrokerError(Kind.OTHER, f"MQ_URL_FILE or MQ_TLS files: {error}"))
        else:
            timeout, wire, tries = settings.mq_connect_timeout, settings.mq_wire, self.failed // self._brokers
            self._session = Session(self, parameters, self._process, timeout, wire, tries=tries)

    def _watch_secret(self, session: Session, seen: str = "") -> None:
        """Hand on the secret of MQ_URL_FILE if nothing else of our URL changed there: a token may expire.

        Only an OAuth 2.0 back end takes it; for passwords the broker agrees and goes on as before. `seen` was in the
        file before: a file that is written in its place may hold the half of a token, which would end the connection.
        """
        if session is not self._session or self.state is not State.OPEN or not self.broker:
            return
        text = ""
        with suppress(OSError, ValueError):  # the file is being replaced; or the next connect says what is wrong
            text = self._settings.url_text()
            urls = parse_urls(text) if text == seen else []
            same = (url for url in urls if replace(url, password=self.broker.password) == self.broker)
            if (url := next(same, self.broker)) != self.broker:
                self.broker = url
                session.update_secret(url.password, lambda: log.info("secret renewed", connection=self.name))
        self._process.call_later(SECRET_CHECK_SECONDS, lambda: self._watch_secret(session, text))

    def _become(self, state: State, delay: float = 0.0) -> None:
        """Change the state, log and count the change; nothing else does."""
        was, self.state = self.state, state
        names = {"connection": self.name, "broker": str(self.broker) if self.broker else None}
        if state is State.OPEN:
            self.broker_error = None
            log.info("connected", **names)
        elif state is State.BACKING_OFF:
            log.warning("not connected", **names, reason=str(self.broker_error), retry_in=round(delay, 2))
            if was is State.OPEN:
                metrics.RECONNECTS.labels(self.name).inc()
        else:
            log.debug("connection", connection=self.name, state=state.value)
