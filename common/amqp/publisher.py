"""Publisher: keeps each message until the broker confirms it, over as many connections as necessary."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import structlog
from pika import spec
from pika.channel import Channel

from common.amqp.connection import Connection
from common.amqp.errors import BrokerError, Kind
from common.amqp.flow import ConfirmWatchdog, Window
from common.amqp.inflight import InFlight, Publication, Single
from common.amqp.topology import Topology
from common.observe.logs import Quota, names
from common.observe.metrics import PublisherMetrics
from common.process.run import Process
from common.properties import received
from common.settings.shared import Settings

T = TypeVar("T")
BARRED_SECONDS = 10.0  # that nothing is sent to an exchange over which the broker closed the channel: others use it too
REFUSED_LINES = 200  # a second; many, because nobody else knows which messages are missing
FULL = "the queue is full"
log = structlog.get_logger()


class Publisher(Generic[T]):
    """I/O thread only. `InFlight` holds messages, `Window` bounds how many are sent, the watchdog how long they wait.

    `on_progress` gets confirmed messages in batches, and an empty batch when there may be room.
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
        """Leave at most `window` messages unconfirmed; `on_refused` gets a message that no broker would take."""
        self.connection = Connection(name, process, settings, self)
        self.metrics = PublisherMetrics(name)
        self.metrics.unconfirmed.set_function(self.__len__)
        self.topology, self._guarded, self._mode = topology, process.guarded, settings.mq_topology
        self._on_progress, self._on_refused, self._window = on_progress, on_refused, Window(window)
        self._in_flight, self._watchdog = InFlight[T](), ConfirmWatchdog(settings.mq_confirm_timeout)
        self._quota = Quota(REFUSED_LINES)
        self.discard = self._in_flight.discard
        # Gets each Single that has failed, why, and whether its destination is what failed.
        self.on_failed: Callable[[Publication[T], str, bool], None] = lambda *_: None
        self._barred: dict[str, tuple[float, str]] = {}  # exchanges, until when, and why

    def __len__(self) -> int:
        return len(self._in_flight)

    @property
    def room(self) -> int:
        """How many more messages would be sent at once; negative when more wait."""
        sends = self._channel(time.monotonic()) and not self._in_flight.full
        return self._window.limit - len(self._in_flight) if sends else 0

    def reasons(self) -> list[str]:
        others = self._in_flight.refusing - {self.topology.name}
        which = f": {', '.join(sorted(others))}" if others else ""
        return [*self.connection.reasons(), *(f"{reason}{which}" for reason in [self._window.reason] if reason)]

    def publish(self, publications: Iterable[Publication[T]]) -> None:
        """Take these over: each is confirmed or refused in time."""
        self._in_flight.put(publications)
        self._pump(time.monotonic())

    def withdraw(self, wanted: Callable[[T], bool]) -> list[T]:
        taken = self._in_flight.withdraw(wanted)
        if taken and not self._in_flight.refusing:
            self._window.reason = ""
        return taken

    def prepare(self, channel: Channel) -> None:
        on_confirm = self._guarded(lambda frame: self._on_confirm(channel, frame.method))
        channel.add_on_return_callback(self._guarded(self._on_return))
        self.topology.declare(channel, self._mode)
        channel.confirm_delivery(on_confirm, callback=self._guarded(lambda _: self.connection.accepted(channel)))

    def adapts(self, refusal: BrokerError) -> bool:
        before, self.topology = self.topology, self.topology.adapted(refusal)
        return self.topology is not before

    def opened(self, _channel: Channel) -> None:
        self._window.opened()
        self._pump(time.monotonic())
        self._on_progress([])

    def lost(self, reason: BrokerError) -> None:
        """Queue the unconfirmed messages again.

        The broker closes a publishing channel with 406 for one message that it cannot take (too large, a wrong
        `expiration`, somebody else's `user_id`). Sent one by one, that message is found and refused; the others go on.
        """
        text, in_flight = reason.text, self._in_flight
        failed: Sequence[Publication[T]] = in_flight.take_out(
            lambda each: bool(each.exchange) and f"exchange '{each.exchange}'" in text
        )
        # The broker cuts its words at 255 bytes, and a long name with them.
        unnamed = "exchange '" in text and not failed and in_flight.to_exchanges
        refused, suspects = in_flight.lost(poisoned="PRECONDITION_FAILED" in text or unnamed)
        self._watchdog.lost()
        self._window.lost(suspects, "there is no queue" if "NO_ROUTE" in reason.text else "")
        if refused and unnamed:
            failed = [refused]
        elif refused:
            self._refuse(refused, text)
        now = time.monotonic()
        self._barred = {name: barred for name, barred in self._barred.items() if barred[0] > now}
        self._barred |= {publication.exchange: (now + BARRED_SECONDS, text) for publication in failed}
        for publication in failed:
            self.on_failed(publication, text, True)

    def tick(self, now: float) -> None:
        """Send on after a pause or an alarm; give up a connection that confirms nothing."""
        sent_at, overtaken = self._in_flight.sent_at, self._in_flight.overtaken
        if reason := self._watchdog.verdict(now, sent_at, overtaken=overtaken, alarm=self.connection.blocked):
            self.connection.fail(reason)
        self._quota.tick(now)
        self._pump(now)
        self._on_progress([])

    def refused(self, reason: str, **names: object) -> None:
        self.metrics.refused.inc()
        self._quota.warn("refused", reason=reason, **names)

    def _channel(self, now: float) -> Channel | None:
        """The channel to send on; None while blocked, and during the pause after a nack."""
        return None if self.connection.blocked or self._window.paused(now) else self.connection.channel

    def _pump(self, now: float) -> None:
        channel, in_flight = self._channel(now), self._in_flight
        unsendable: list[tuple[Publication[T], str]] = []
        barred: list[Publication[T]] = []
        while channel and (batch := in_flight.take(self._window.limit)):
            wire: Any = channel.connection  # a PlainConnection
            sent = []
            for publication in batch:
                key, message, exchange = publication.routing_key, publication.message, publication.exchange
                if exchange and now < self._barred.get(exchange, (0.0,))[0]:
                    barred.append(publication)
                    continue
                try:
                    wire.publish(channel, key, message, exchange)
                    sent.append(publication)
                except Exception as error:  # noqa: BLE001 - encoding failed, so nothing was sent
                    unsendable.append((publication, f"{type(error).__name__}: {error}"))
            in_flight.sent(sent, now)
            self.metrics.sent += len(sent)
            self.metrics.published.inc(len(sent))
        for publication, reason in unsendable:
            self._refuse(publication, reason)
        for publication in barred:
            self.on_failed(publication, self._barred[publication.exchange][1], True)

    def _refuse(self, publication: Publication[T], reason: str) -> None:
        if isinstance(publication, Single):
            self.on_failed(publication, reason, False)
            return
        self.refused(reason, **names(publication.message))
        self._on_refused(publication)

    def _on_confirm(self, channel: Channel, method: Any) -> None:
        if channel is not self.connection.channel:
            return
        now, tag, multiple = time.monotonic(), method.delivery_tag, method.multiple
        if isinstance(method, spec.Basic.Nack):
            nacked, failed = self._in_flight.nacked(tag, multiple=multiple)
            self._watchdog.nacked(now)
            self.metrics.nacked.inc(nacked + len(failed))
            if nacked and self._window.nacked(now):
                log.warning("the queue is full: messages are kept and sent again", nacked=nacked)
            for publication in failed:
                self.on_failed(publication, FULL, True)
            return
        confirmed = self._in_flight.confirmed(tag, multiple=multiple)
        self._watchdog.confirmed(now)
        self.metrics.confirmed.inc(len(confirmed))
        self.metrics.confirm_seconds.observe([now - publication.sent_at for publication in confirmed])
        self._window.confirmed(len(confirmed), full=bool(self._in_flight.refusing))
        self._pump(now)
        self._on_progress(confirmed)

    def _on_return(self, channel: Channel, method: spec.Basic.Return, properties: Any, *_: object) -> None:
        if channel is not self.connection.channel:
            return
        self.metrics.returned.inc()
        text, place = f"{method.reply_code} {method.reply_text}", (method.exchange, method.routing_key)
        # Of two that are equal nobody knows which was meant.
        message_id = received(properties).to_pika().message_id
        failed = self._in_flight.take_out(
            lambda each: (each.exchange, each.routing_key) == place and each.message.message_id == message_id
        )
        for publication in failed:
            self.on_failed(publication, f"{text}: no queue takes it", True)
        if not failed:
            # The confirm of a returned message follows and must not count: drop the connection before it is read.
            self.connection.fail(BrokerError(Kind.TOPOLOGY, f"{text}: there is no queue {method.routing_key}"))
