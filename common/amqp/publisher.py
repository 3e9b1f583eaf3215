"""Publisher: keeps each message until the broker confirms it, over as many connections as that takes."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import structlog
from pika import spec
from pika.channel import Channel

from common.amqp.connection import Connection
from common.amqp.errors import BrokerError, Kind
from common.amqp.flow import ConfirmWatchdog, Window
from common.amqp.inflight import InFlight, Publication
from common.amqp.topology import Topology
from common.observe.logs import names
from common.observe.metrics import PublisherMetrics
from common.process.run import Process
from common.settings.shared import Settings

T = TypeVar("T")
log = structlog.get_logger()


class Publisher(Generic[T]):
    """I/O thread only. `on_progress` gets what is confirmed, in batches, and an empty one when there may be room.

    `InFlight` knows what waits and what is sent, `Window` how much may be sent, the watchdog how long to wait.
    """

    def __init__(
        self,
        name: str,
        process: Process,
        settings: Settings,
        topology: Topology,
        *,
        window: int,
        on_progress: Callable[[list[Publication[T]]], None],
        on_refused: Callable[[Publication[T]], None],
    ) -> None:
        """Hold at most `window` unconfirmed messages; `on_refused` gets those that no broker would take."""
        self.connection = Connection(name, process, settings, self)
        self.metrics = PublisherMetrics(name)
        self.metrics.unconfirmed.set_function(self.__len__)
        self.topology, self._guarded, self._mode = topology, process.guarded, settings.mq_topology
        self._on_progress, self._on_refused, self._window = on_progress, on_refused, Window(window)
        self._in_flight, self._watchdog = InFlight[T](), ConfirmWatchdog(settings.mq_confirm_timeout)
        self.discard = self._in_flight.discard

    def __len__(self) -> int:
        return len(self._in_flight)

    @property
    def room(self) -> int:
        """How many more messages it would send at once."""
        sends = self._channel(time.monotonic()) and not self._in_flight.full
        return self._window.limit - len(self._in_flight) if sends else 0

    def reasons(self) -> list[str]:
        """Why nothing flows (http thread)."""
        return [*self.connection.reasons(), *filter(None, [self._window.reason])]

    def publish(self, publications: Iterable[Publication[T]]) -> None:
        """Take them over: each is confirmed or refused some time."""
        self._in_flight.put(publications)
        self._pump(time.monotonic())

    def prepare(self, channel: Channel) -> None:
        """Declare the topology and select confirms."""
        on_confirm = self._guarded(lambda frame: self._on_confirm(channel, frame.method))
        channel.add_on_return_callback(self._guarded(self._on_return))
        self.topology.declare(channel, self._mode)
        channel.confirm_delivery(on_confirm, callback=self._guarded(lambda _: self.connection.accepted(channel)))

    def opened(self, _channel: Channel) -> None:
        """Go on."""
        self._window.opened()
        self._pump(time.monotonic())
        self._on_progress([])

    def lost(self, reason: BrokerError) -> None:
        """Send the unconfirmed again first.

        A publishing channel is closed with 406 for one message that the broker cannot take (too large for it, a wrong
        `expiration`, somebody else's `user_id`). Sent one by one, it is found, refused, and the others go on.
        """
        refused, suspects = self._in_flight.lost(poisoned="PRECONDITION_FAILED" in reason.text)
        self._watchdog.lost()
        self._window.lost(suspects, "there is no queue" if "NO_ROUTE" in reason.text else "")
        if refused:
            self._refuse(refused, reason.text)

    def tick(self, now: float) -> None:
        """Go on after a pause or an alarm; give up a connection that confirms nothing."""
        sent_at, overtaken = self._in_flight.sent_at, self._in_flight.overtaken
        if reason := self._watchdog.verdict(now, sent_at, overtaken=overtaken, alarm=self.connection.blocked):
            self.connection.fail(reason)
        self._pump(now)
        self._on_progress([])

    def refused(self, reason: str, **names: object) -> None:
        """Count and log what can never be published."""
        self.metrics.refused.inc()
        log.warning("refused", reason=reason, **names)  # each, whatever their rate: nobody else knows what is left out

    def _channel(self, now: float) -> Channel | None:
        """The one to send on, unless the broker reads nothing, or has refused a moment ago."""
        return None if self.connection.blocked or self._window.paused(now) else self.connection.channel

    def _pump(self, now: float) -> None:
        channel, in_flight = self._channel(now), self._in_flight
        unsendable: list[tuple[Publication[T], str]] = []
        while channel and (batch := in_flight.take(self._window.limit)):
            wire: Any = channel.connection  # a PlainConnection
            sent = []
            for publication in batch:
                key, message = publication.routing_key, publication.message
                try:
                    wire.publish(channel, key, message)
                    sent.append(publication)
                except Exception as error:  # noqa: BLE001 - all is encoded before any is sent: nothing of it left
                    unsendable.append((publication, f"{type(error).__name__}: {error}"))
            in_flight.sent(sent, now)
            self.metrics.count_published(len(sent))
        for publication, reason in unsendable:
            self._refuse(publication, reason)

    def _refuse(self, publication: Publication[T], reason: str) -> None:
        self.refused(reason, **names(publication.message))
        self._on_refused(publication)

    def _on_confirm(self, channel: Channel, method: Any) -> None:
        if channel is not self.connection.channel:
            return
        now, tag, multiple = time.monotonic(), method.delivery_tag, method.multiple
        if isinstance(method, spec.Basic.Nack):
            nacked = self._in_flight.nacked(tag, multiple=multiple)
            self._watchdog.nacked(now)
            self.metrics.nacked.inc(nacked)
            if self._window.nacked(now):
                log.warning("the queue is full: messages are kept and sent again", nacked=nacked)
            return
        confirmed = self._in_flight.confirmed(tag, multiple=multiple)
        self._watchdog.confirmed(now)
        self.metrics.count_confirmed([now - publication.sent_at for publication in confirmed])
        self._window.confirmed(len(confirmed))
        self._pump(now)
        self._on_progress(confirmed)

    def _on_return(self, channel: Channel, method: spec.Basic.Return, *_: object) -> None:
        if channel is self.connection.channel:
            self.metrics.returned.inc()
            # Its confirm follows, and must not be believed: nothing of this channel is listened to any more.
            text = f"{method.reply_code} {method.reply_text}: there is no queue {method.routing_key}"
            self.connection.fail(BrokerError(Kind.TOPOLOGY, text))
