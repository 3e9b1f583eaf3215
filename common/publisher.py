"""Publisher: keeps each message until the broker confirms it, over as many connections as that takes."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import structlog
from pika import spec
from pika.channel import Channel

from common.confirms import Unconfirmed
from common.connection import Connection
from common.message import Message
from common.metrics import PublisherMetrics
from common.process import Process
from common.refusal import Kind, Refusal
from common.settings import Settings
from common.topology import Topology
from common.window import Window

T = TypeVar("T")
log = structlog.get_logger()

WINDOW_BYTES = 32 * 1024 * 1024  # bodies in flight; a window of large messages must not fill the memory


class Publication(NamedTuple, Generic[T]):
    """A message on its way to the queue `routing_key`; `token` is its owner's name for it."""

    routing_key: str
    message: Message
    token: T


class Publisher(Generic[T]):
    """All of it runs on the I/O thread.

    `on_progress` gets confirmed publications in batches, and an empty batch when there may be room again;
    `on_refused` gets what can never be published, and why.
    """

    def __init__(
        self,
        name: str,
        process: Process,
        settings: Settings,
        topology: Topology,
        *,
        window: int,
        max_body: int,
        on_progress: Callable[[list[Publication[T]]], None],
        on_refused: Callable[[Publication[T], str], None],
    ) -> None:
        """Hold at most `window` unconfirmed messages, of at most `max_body` bytes each."""
        self.connection = Connection(name, process, settings, self)
        self.metrics = PublisherMetrics(name)
        self.metrics.unconfirmed.set_function(self.__len__)
        self._process, self._settings, self.topology, self._max_body = process, settings, topology, max_body
        self._on_progress, self._on_refused = on_progress, on_refused
        self._window = Window(window)
        self._backlog: deque[Publication[T]] = deque()
        self._unconfirmed: Unconfirmed[tuple[Publication[T], float]] = Unconfirmed()
        self._bytes = 0  # of the unconfirmed bodies
        self._moved_at = 0.0

    def __len__(self) -> int:
        return len(self._backlog) + len(self._unconfirmed)

    @property
    def room(self) -> int:
        """How many more messages it would send at once."""
        return self._window.limit - len(self) if self._may_send(time.monotonic()) else 0

    def reasons(self) -> list[str]:
        """Why nothing flows (http thread)."""
        return [*self.connection.reasons(), *filter(None, [self._window.reason])]

    def publish(self, publications: Iterable[Publication[T]]) -> None:
        """Take them over: each is confirmed or refused some time."""
        self._backlog.extend(publications)
        self._pump()

    def prepare(self, channel: Channel) -> None:
        """Declare the topology and select confirms."""
        guarded = self._process.guarded
        channel.add_on_return_callback(guarded(self._on_return))
        self.topology.declare(channel, self._settings.mq_topology)
        channel.confirm_delivery(
            guarded(lambda frame: self._on_confirm(channel, frame.method)),
            callback=guarded(lambda _: self.connection.accepted(channel)),
        )

    def opened(self, _channel: Channel) -> None:
        """Go on."""
        self._window.opened()
        self._go_on()

    def lost(self, reason: Refusal) -> None:
        """Whether the unconfirmed arrived is unknown, so they are sent again first, in their order.

        A publishing channel is closed with 406 for one message that the broker cannot take (too large for it, a wrong
        `expiration`, somebody else's `user_id`). Sent one by one, it is found, refused, and the others go on.
        """
        entries = self._unconfirmed.drain()
        poisoned = "PRECONDITION_FAILED" in reason.text
        if poisoned and len(entries) == 1:
            culprit, _ = entries.pop()
            self._bytes -= len(culprit.message.body)
            self._refuse(culprit, reason.text)
        self._window.lost(len(entries) if poisoned else 0, "returned" if "NO_ROUTE" in reason.text else "")
        self._give_back(entries)

    def tick(self, now: float) -> None:
        """Go on after a pause or an alarm; give up a connection that confirms nothing."""
        if self.connection.blocked:
            self._moved_at = now
        oldest = self._unconfirmed.oldest
        if oldest and now - max(oldest[1], self._moved_at) > self._settings.mq_confirm_timeout:
            self.connection.fail(
                Refusal(
                    Kind.OTHER, f"no confirm in MQ_CONFIRM_TIMEOUT: {len(self._unconfirmed)} messages are sent again"
                )
            )
        self._go_on()

    def _go_on(self) -> None:
        self._pump()
        self._on_progress([])

    def _may_send(self, now: float) -> bool:
        connection = self.connection
        return connection.channel is not None and not connection.blocked and not self._window.paused(now)

    def _pump(self) -> None:
        now, channel = time.monotonic(), self.connection.channel
        if not self._backlog or channel is None or not self._may_send(now):
            return
        backlog, unconfirmed, limit, sent = self._backlog, self._unconfirmed, self._window.limit, 0
        while backlog and len(unconfirmed) < limit and self._bytes < WINDOW_BYTES:
            publication = backlog.popleft()
            message = publication.message
            try:
                message.check(self._max_body)
                channel.basic_publish("", publication.routing_key, message.body, message.properties, mandatory=True)
            except Exception as error:  # noqa: BLE001 - pika encodes all before it sends any: nothing of it left
                self._refuse(publication, f"{type(error).__name__}: {error}")
                continue
            unconfirmed.add((publication, now))
            self._bytes += len(message.body)
            sent += 1
        self.metrics.published.inc(sent)

    def _refuse(self, publication: Publication[T], reason: str) -> None:
        self.metrics.refused.inc()
        log.error("refused", message_id=publication.message.message_id, reason=reason)
        self._on_refused(publication, reason)

    def _on_confirm(self, channel: Channel, method: Any) -> None:
        if channel is not self.connection.channel:
            return
        now = self._moved_at = time.monotonic()
        settled = self._unconfirmed.settle(method.delivery_tag, multiple=method.multiple)
        if isinstance(method, spec.Basic.Nack):
            self.metrics.nacked.inc(len(settled))
            self._give_back(settled)
            if self._window.nacked(now):
                log.warning("the queue is full or refuses: messages are kept and sent again", nacked=len(settled))
            return
        observe = self.metrics.confirm_seconds.observe
        publications = []
        for publication, sent_at in settled:
            observe(now - sent_at)
            self._bytes -= len(publication.message.body)
            publications.append(publication)
        self.metrics.confirmed.inc(len(publications))
        self._window.confirmed(len(publications))
        self._pump()
        self._on_progress(publications)

    def _on_return(self, channel: Channel, method: spec.Basic.Return, *_: object) -> None:
        if channel is self.connection.channel:
            self.metrics.returned.inc()
            # Its confirm follows, and must not be believed: nothing of this channel is listened to any more.
            self.connection.fail(
                Refusal(
                    Kind.TOPOLOGY, f"{method.reply_code} {method.reply_text}: there is no queue {method.routing_key}"
                )
            )

    def _give_back(self, entries: list[tuple[Publication[T], float]]) -> None:
        for publication, _ in reversed(entries):
            self._bytes -= len(publication.message.body)
            self._backlog.appendleft(publication)
