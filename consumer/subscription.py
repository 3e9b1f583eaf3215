"""Subscription: the consuming connection. Deliveries come in, and are settled on the channel they came from."""

import time
from collections.abc import Callable

from pika.channel import Channel

from common.amqp.connection import Connection
from common.amqp.errors import BrokerError
from common.amqp.topology import Topology
from common.process.run import Process
from consumer import metrics
from consumer.acks import Acknowledger
from consumer.delivery import Delivery, delivery_count
from consumer.intake import Intake
from consumer.prefetch import Prefetch
from consumer.settings import ConsumerSettings


class Subscription:
    """Implements `common.amqp.connection.ChannelUser`. I/O thread only.

    `on_deliveries` gets what one turn of the loop read; `on_lost` hears that the broker takes all unsettled back;
    `on_cancelled` that it sends no more, with the deliveries that came meanwhile, unread.
    """

    def __init__(
        self,
        process: Process,
        settings: ConsumerSettings,
        on_deliveries: Callable[[list[Delivery]], None],
        on_lost: Callable[[], object],
        on_cancelled: Callable[[list[Delivery]], None],
    ) -> None:
        self.connection, self.topology = Connection("consumer", process, settings, self), Topology(settings.mq_ch)
        self._acks = Acknowledger(process, lambda: self.connection.channel)
        self.unsettled, self.give_back_all, self.told = self._acks.unsettled, self._acks.give_back_all, self._acks.told
        self.cancelled = self._ending = False  # for good, and on the way there
        self.active_at = time.monotonic()  # when something last came or was settled, or the connection was not open
        self._process, self._settings = process, settings
        self._on_deliveries, self._on_lost, self._on_cancelled = on_deliveries, on_lost, on_cancelled
        self._intake = Intake(process, settings.mq_ch, process.guarded(self._hand_on), self._on_shut)
        self._unread: list[Delivery] = []  # came while the intake shut
        self._prefetch = Prefetch(settings.consumer_prefetch, settings.consumer_workers)
        metrics.UNSETTLED.set_function(lambda: len(self.unsettled))

    def prepare(self, channel: Channel) -> None:
        """Declare, and let the broker send one message ahead."""
        self.topology.declare(channel, self._settings.mq_topology)
        channel.basic_qos(prefetch_count=1, callback=self._process.guarded(lambda _: self.connection.accepted(channel)))

    def opened(self, channel: Channel) -> None:
        """Consume, unless that was over before."""
        self.active_at = time.monotonic()
        self._prefetch.opened()
        if self._ending:
            self.cancelled = True
        else:
            self._intake.open(channel)

    def lost(self, _reason: BrokerError) -> None:
        """The broker has requeued all that was not settled, and delivers it anew."""
        self._unread = []
        self._intake.lost()
        self._acks.clear()
        self._on_lost()

    def current(self, delivery: Delivery) -> bool:
        """Whether it may still be settled. A tag of another channel names another message."""
        return delivery.channel is self.connection.channel

    def acknowledge(self, tags: list[int], failed: int = 0) -> None:
        """These deliveries, all of the current channel, are handled; so many others are, and not settled yet."""
        if (tags or failed) and self.connection.channel:
            now = time.monotonic()
            if tags:
                self.active_at = now
                self._acks.settle(tags, self._prefetch.half)
            self._prefetch.finished += len(tags) + failed
            if self._prefetch.told:
                self._intake.widen(self._prefetch.handled(len(tags), failed, now))

    def tick(self, waiting: int, now: float) -> None:
        """Have less sent ahead if too little is handled; with so many `waiting` no handler began."""
        if self._prefetch.too_slow(waiting, now):
            self._shut()

    def give_back(self, delivery: Delivery, *, counted: bool) -> None:
        """Requeue it: counted against the delivery limit on every broker, or on those before 4.3 alone."""
        if self.current(delivery):
            self._acks.give_back(delivery.tag, counted=counted)

    def cancel(self) -> None:
        """Let nothing more come, for good."""
        self._ending = True
        if self._intake.shut:
            self._on_shut()
        else:
            self._shut()

    def resume(self) -> None:
        """Consume again once there is room, if it was shut only to have less sent ahead."""
        channel, room = self.connection.channel, self._prefetch.has_room(self.unsettled.size)
        if channel and room and self._intake.shut and not self._ending:
            self.active_at = time.monotonic()
            self._intake.open(channel)

    def close(self) -> None:
        """Close the connection, behind the last acknowledgement."""
        self._acks.release()
        self.connection.close()

    def _shut(self) -> None:
        """Acknowledgements wait until nothing comes: each would make the broker send one more."""
        self._hand_on()
        self._intake.close()
        if self._intake.shutting:
            self._acks.hold()

    def _on_shut(self) -> None:
        self.cancelled = self._ending
        self._prefetch.narrowed(time.monotonic())
        self._acks.release()
        self._take_unread()
        unread, self._unread = self._unread, []
        self._on_cancelled(unread)

    def _hand_on(self) -> None:
        if self._intake.shutting:
            self._take_unread()
        deliveries, sizes = self._intake.take()
        if not deliveries:  # or they were lost or shut meanwhile
            return
        self.unsettled.delivered([each.tag for each in deliveries], sizes)
        metrics.DELIVERED.inc(len(deliveries))
        if self._prefetch.count == 1:
            self._intake.widen(self._prefetch.delivered(delivery_count(deliveries[0].message), sizes[0]))
        if self._prefetch.told:
            self._prefetch.arrived(sizes, time.monotonic())
        self._on_deliveries(deliveries)
        if self._prefetch.too_large(self.unsettled.size):
            self._shut()

    def _take_unread(self) -> None:
        unread = self._intake.take_unread()
        self.unsettled.delivered([each.tag for each in unread], [0] * len(unread))
        self._unread += unread
