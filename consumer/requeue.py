"""Requeue: what was sent ahead, and no handler began with, on its way back to the broker. I/O thread only."""

import time

import structlog

from common.amqp.topology import Topology
from consumer.delivery import Delivery, split_by_limit
from consumer.retry import RetryPublisher
from consumer.settle import hand_back
from consumer.subscription import Subscription
from consumer.workers import Workers

log = structlog.get_logger()

WAIT_FOR_HANDLERS = 1.0  # seconds that deliveries wait for running handlers before they are handed back


class Requeue:
    """Begins when nothing more comes; goes on with each tick."""

    def __init__(self, subscription: Subscription, workers: Workers, retry: RetryPublisher, topology: Topology) -> None:
        self._subscription, self._workers, self._retry, self._topology = subscription, workers, retry, topology
        self._deliveries: list[Delivery] = []
        self._by = 0.0

    def __len__(self) -> int:
        return len(self._deliveries)

    def all(self, unread: list[Delivery]) -> None:
        """For a stop. The bodies of `unread` are gone.

        Those near the delivery limit go as copies: before RabbitMQ 4.3 even a nack counts as a delivery, and rollouts
        would make a message a suspect, and then park it.
        """
        near, others = split_by_limit(self._workers.take_back())
        self._retry.publish(hand_back(near, self._topology))
        self._deliveries += others + unread
        self._by = time.monotonic() + WAIT_FOR_HANDLERS

    def most(self, unread: list[Delivery]) -> None:
        """All but the next for each handler, and those near the delivery limit: a full queue takes no copies."""
        near, others = split_by_limit(self._workers.take_back(self._workers.count))
        self._workers.hand_over(near)
        self._deliveries += others + unread
        self._by = time.monotonic()
        log.info("less is sent ahead: handlers are slow or messages large", handed_back=len(self))

    def lost(self) -> None:
        """The broker has taken all back by itself."""
        self._deliveries = []

    def tick(self, now: float) -> None:
        """In one frame, once all that runs is settled; if that takes too long, one by one.

        From 32 commands to a quorum queue on, the broker keeps the next ones back, and drops them with the channel:
        behind a frame for each delivery the last acknowledgements would be lost.
        """
        subscription, count = self._subscription, len(self)
        if count and len(subscription.unsettled) == count:
            subscription.give_back_all()
        elif count and now >= self._by:
            for delivery in self._deliveries:
                subscription.give_back(delivery, counted=False)
        else:
            return
        self._retry.totals["handed_back"] += count
        self._deliveries = []
