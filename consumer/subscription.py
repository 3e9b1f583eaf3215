"""Subscription: the consuming connection. Deliveries come in, and are settled on the channel they came from."""

import time
from collections.abc import Callable

import structlog
from pika.channel import Channel

from common.amqp.connection import Connection
from common.amqp.errors import BrokerError
from common.amqp.plain import CONSUMER_TIMEOUT, consumer_timeout
from common.amqp.topology import Topology
from common.process.rate import ahead
from common.process.run import Process
from consumer import metrics
from consumer.acks import Acknowledger
from consumer.delivery import UNREAD, Delivery, delivery_count
from consumer.intake import Intake
from consumer.prefetch import Prefetch
from consumer.settings import ConsumerSettings

log = structlog.get_logger()
MAX_UNSETTLED_BYTES = 64 * 1024 * 1024  # of bodies and properties, whatever size the prefetch was earned with


class Subscription:
    """Implements `common.amqp.connection.ChannelUser`. I/O thread only.

    `on_deliveries` gets what one turn of the loop read; `on_lost` is told why the broker requeues all unsettled;
    `on_cancelled` when it sends no more, with the deliveries that came meanwhile, unread.
    """

    def __init__(
        self,
        process: Process,
        settings: ConsumerSettings,
        on_deliveries: Callable[[list[Delivery]], None],
        on_lost: Callable[[BrokerError], object],
        on_cancelled: Callable[[list[Delivery]], None],
    ) -> None:
        self.connection, self.topology = Connection("consumer", process, settings, self), Topology(settings.mq_ch)
        self.channel: Channel | None = None  # the open one, on which deliveries may be settled
        self.cancelled = self._stopping = False  # for good, and on the way there
        self.runs_here: Callable[[Delivery], bool] = lambda _: False  # so it is not what kills its process
        self.one_at_a_time = False  # no more than one delivery is to come
        self.active_at = time.monotonic()  # when something last came or was settled, or the connection was not open
        self._process, self._settings = process, settings
        self._on_deliveries, self._on_lost, self._on_cancelled = on_deliveries, on_lost, on_cancelled
        self._intake = Intake(process, settings.mq_ch, process.guarded(self._on_turn), self._on_intake_cancelled)
        self._intake.arguments = {CONSUMER_TIMEOUT: round(1000 * consumer_timeout(settings.consumer_handler_timeout))}
        most = ahead(settings.consumer_rate, settings.consumer_prefetch, settings.consumer_workers)
        self._prefetch = Prefetch(most, settings.consumer_workers)
        self._acks = Acknowledger(process)
        self.flushed, self.requeue_all = self._acks.flushed, self._acks.requeue_all
        self._unread: list[Delivery] = []  # came while the intake was being cancelled
        metrics.UNSETTLED.set_function(lambda: self.unsettled)

    @property
    def unsettled(self) -> int:
        return self._acks.unsettled

    @property
    def full(self) -> bool:
        """Whether more bytes are held than may be."""
        return self._acks.bytes > MAX_UNSETTLED_BYTES

    @property
    def half_empty(self) -> bool:
        return self._acks.bytes <= MAX_UNSETTLED_BYTES // 2

    def prepare(self, channel: Channel) -> None:
        """Declare the queues, and let the broker send one message ahead."""
        self.topology.declare(channel, self._settings.mq_topology)
        channel.basic_qos(prefetch_count=1, callback=self._process.guarded(lambda _: self.connection.accepted(channel)))

    def adapts(self, refusal: BrokerError) -> bool:
        before, self.topology = self.topology, self.topology.adapted(refusal)
        return self.topology is not before

    def opened(self, channel: Channel) -> None:
        """Consume, unless a stop came before."""
        self.channel = self._acks.channel = channel
        self.active_at = time.monotonic()
        self._prefetch.opened()
        if self._stopping:
            self.cancelled = True
        else:
            self._intake.consume(channel, self._prefetch.count)

    def lost(self, reason: BrokerError) -> None:
        """Forget all unsettled deliveries: the broker has requeued them, and delivers them anew."""
        if CONSUMER_TIMEOUT in reason.text:  # a classic queue of 4.3 refuses the argument
            self._intake.arguments = {}
        self.channel, self._unread = None, []
        self._intake.lost()
        self._acks.lost()
        self._on_lost(reason)

    def current(self, delivery: Delivery) -> bool:
        """True if it may still be settled. A tag of another channel names another message."""
        return delivery.channel is self.channel

    def acknowledge(self, tags: list[int], failed: int = 0) -> None:
        """Settle these deliveries of the current channel. `failed` others were handled, and wait for their copies."""
        if self.channel and (tags or failed):
            now = time.monotonic()
            if tags:
                self.active_at = now
                self._acks.settle(tags, self._prefetch.count)
            self._prefetch.finished += len(tags) + failed
            if self._prefetch.growing:
                self._intake.widen(self._prefetch.handled(len(tags), failed, now))

    def holds(self, delivery: Delivery, size: int) -> None:
        """`size` bytes more are held until this delivery of the current channel is settled."""
        self._acks.grow(delivery.tag, size)

    def requeue(self, delivery: Delivery, *, counted: bool) -> None:
        """Requeue it: counted against the delivery limit by every broker, or by those before 4.3 alone."""
        if self.current(delivery):
            self._acks.requeue(delivery.tag, counted=counted)

    def tick(self, waiting: int, now: float) -> None:
        """Have less sent ahead if too little is handled while `waiting` deliveries wait for a handler."""
        if self._prefetch.too_slow(waiting, now):
            self._cancel_intake()

    def cancel(self) -> None:
        """Consume no more, for good."""
        self._stopping = True
        if self._intake.cancelled:
            self._on_intake_cancelled()
        else:
            self._cancel_intake()

    def pause(self) -> None:
        """Consume no more until `resume`; then one delivery."""
        self._prefetch.single(known=False)
        self._cancel_intake()

    def resume(self) -> None:
        """Consume again once half of MAX_UNSETTLED_BYTES is free, after a cancel that was only to narrow."""
        if self.channel and self.half_empty and self._intake.cancelled and not self._stopping:
            self.active_at = time.monotonic()
            self._intake.consume(self.channel, self._prefetch.count)

    def close(self) -> None:
        """Close the connection, behind the last acknowledgement."""
        self._acks.release()
        self.channel = self._acks.channel = None
        self.connection.close()

    def _on_turn(self) -> None:
        if self._intake.cancelling:
            self._take_unread()
        deliveries, sizes = self._intake.take()
        if not deliveries:  # they were lost or left unread meanwhile
            return
        self._acks.delivered([each.tag for each in deliveries], sizes)
        metrics.DELIVERED.inc(len(deliveries))
        if self._prefetch.growing and self._prefetch.count == 1 and not self.one_at_a_time:
            first = deliveries[0]
            losses = 0 if self.runs_here(first) else delivery_count(first)
            self._intake.widen(self._prefetch.delivered(losses, sizes[0]))
        if self._prefetch.growing:
            lost = sum([delivery_count(each) > 0 for each in deliveries if each.redelivered])
            self._prefetch.arrived(sizes, time.monotonic(), lost)
        self._on_deliveries(deliveries)
        if self._intake.single:
            log.info("the queue has a single active consumer, which gets the whole prefetch")
            self._prefetch.single()
            self._cancel_intake()
        elif self.full and self._prefetch.count > 1:  # a single one may be of any size
            self._cancel_intake()

    def _cancel_intake(self) -> None:
        """Cancel, and hold acknowledgements until nothing comes: each would make the broker send one more."""
        self._on_turn()
        self._intake.cancel()
        if self._intake.cancelling:
            self._acks.hold()

    def _on_intake_cancelled(self) -> None:
        self.cancelled = self._stopping
        self._prefetch.narrowed(time.monotonic())
        self._acks.release()
        self._take_unread()
        unread, self._unread = self._unread, []
        self._on_cancelled(unread)

    def _take_unread(self) -> None:
        """Keep no bodies: they would only fill the memory, and the deliveries are requeued."""
        unread = [delivery._replace(message=UNREAD) for delivery in self._intake.take()[0]]
        self._acks.delivered([delivery.tag for delivery in unread], [0] * len(unread))
        self._unread += unread
