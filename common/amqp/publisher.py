"""Publisher: keeps each message until the broker confirms it, over as many connections as that takes."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import structlog
from pika import spec
from pika.channel import Channel

from common.amqp.connection import Connection
from common.amqp.errors import BrokerError, Kind
from common.amqp.flow import Stall, Window
from common.amqp.inflight import Outbox, Publication
from common.amqp.topology import Topology
from common.observe.logs import names
from common.observe.metrics import PublisherMetrics
from common.process.run import Process
from common.settings.shared import Settings

T = TypeVar("T")
log = structlog.get_logger()


class Publisher(Generic[T]):
    """I/O thread only. `on_progress` gets what is confirmed, in batches, and an empty one when there may be room."""

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
        self._outbox, self._stall = Outbox[T](), Stall(settings.mq_confirm_timeout)
        self.discard = self._outbox.discard

    def __len__(self) -> int:
        return len(self._outbox)

    @property
    def room(self) -> int:
        """How many more messages it would send at once."""
        return self._window.limit - len(self) if self._may_send(time.monotonic()) and not self._outbox.full else 0

    def reasons(self) -> list[str]:
        """Why nothing flows (http thread)."""
        return [*self.connection.reasons(), *filter(None, [self._window.reason])]

    def publish(self, publications: Iterable[Publication[T]]) -> None:
        """Take them over: each is confirmed or refused some time."""
        self._outbox.put(publications)
        self._pump()

    def prepare(self, channel: Channel) -> None:
        """Declare the topology and select confirms."""
        on_confirm = self._guarded(lambda frame: self._on_confirm(channel, frame.method))
        channel.add_on_return_callback(self._guarded(self._on_return))
        self.topology.declare(channel, self._mode)
        channel.confirm_delivery(on_confirm, callback=self._guarded(lambda _: self.connection.accepted(channel)))

    def opened(self, _channel: Channel) -> None:
        """Go on."""
        self._window.opened()
        self._pump()
        self._on_progress([])

    def lost(self, reason: BrokerError) -> None:
        """Send the unconfirmed again first, in their order: whether they arrived is unknown.

        A publishing channel is closed with 406 for one message that the broker cannot take (too large for it, a wrong
        `expiration`, somebody else's `user_id`). Sent one by one, it is found, refused, and the others go on.
        """
        entries = self._outbox.drain()
        self._stall.lost()
        poisoned = "PRECONDITION_FAILED" in reason.text
        if poisoned and len(entries) == 1:
            self._refuse(entries.pop().publication, reason.text)
        self._window.lost(len(entries) if poisoned else 0, "there is no queue" if "NO_ROUTE" in reason.text else "")
        self._outbox.give_back(entries)

    def tick(self, now: float) -> None:
        """Go on after a pause or an alarm; give up a connection that confirms nothing."""
        sent_at, overtaken = self._outbox.sent_at, self._outbox.flying.overtaken
        if reason := self._stall.reason(now, sent_at, overtaken=overtaken, alarm=self.connection.blocked):
            self.connection.fail(reason)
        self._pump()
        self._on_progress([])

    def _may_send(self, now: float) -> bool:
        return bool(self.connection.channel) and not self.connection.blocked and not self._window.paused(now)

    def _pump(self) -> None:
        now, channel, outbox, sent = time.monotonic(), self.connection.channel, self._outbox, 0
        if not channel or not self._may_send(now):
            return
        wire: Any = channel.connection  # a PlainConnection, or one that is quicker
        while publication := outbox.next(self._window.limit):
            key, message, _ = publication
            try:
                wire.publish(channel, key, message)
                outbox.sent(publication, now)
                sent += 1
            except Exception as error:  # noqa: BLE001 - pika encodes all before it sends any: nothing of it left
                self._refuse(publication, f"{type(error).__name__}: {error}")
        self.metrics.count_published(sent)

    def refused(self, reason: str, **names: object) -> None:
        """Count and log what can never be published."""
        self.metrics.refused.inc()
        log.warning("refused", reason=reason, **names)  # each, whatever their rate: nobody else knows what is left out

    def _refuse(self, publication: Publication[T], reason: str) -> None:
        self.refused(reason, **names(publication.message))
        self._on_refused(publication)

    def _on_confirm(self, channel: Channel, method: Any) -> None:
        if channel is not self.connection.channel:
            return
        now, refused = time.monotonic(), isinstance(method, spec.Basic.Nack)
        self._stall.moved(now, refused=refused)
        settled = self._outbox.settle(method.delivery_tag, multiple=method.multiple)
        if refused:
            self.metrics.nacked.inc(len(settled))
            self._outbox.give_back(settled)
            if self._window.nacked(now):  # news
                log.warning("the queue is full: messages are kept and sent again", nacked=len(settled))
            return
        self.metrics.count_confirmed([now - sent.at for sent in settled])
        self._window.confirmed(len(settled))
        self._pump()
        self._on_progress([sent.publication for sent in settled])

    def _on_return(self, channel: Channel, method: spec.Basic.Return, *_: object) -> None:
        if channel is self.connection.channel:
            self.metrics.returned.inc()
            # Its confirm follows, and must not be believed: nothing of this channel is listened to any more.
            text = f"{method.reply_code} {method.reply_text}: there is no queue {method.routing_key}"
            self.connection.fail(BrokerError(Kind.TOPOLOGY, text))
