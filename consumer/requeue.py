"""Requeue: what was sent ahead, and no handler began with, on its way back to the broker. I/O thread only."""

import time

import structlog

from common.amqp.topology import Topology
from consumer.copies import fresh_copy
from consumer.delivery import Delivery, split_by_limit
from consumer.retry import RetryPublisher
from consumer.settle import Copy
from consumer.subscription import Subscription
from consumer.workers import Workers

log = structlog.get_logger()

WAIT_FOR_HANDLERS_SECONDS = 1.0  # that deliveries wait for running handlers before they are requeued one by one


class Requeue:
    """Begins when the broker sends nothing more; goes on with each tick."""

    def __init__(self, subscription: Subscription, workers: Workers, retry: RetryPublisher, topology: Topology) -> None:
        self._subscription, self._workers, self._retry, self._topology = subscription, workers, retry, topology
        self._deliveries: list[Delivery] = []
        self._deadline = 0.0  # a narrowing waits for no handler

    def __len__(self) -> int:
        return len(self._deliveries)

    def on_stop(self, unread: list[Delivery]) -> None:
        """Requeue all that no handler began with, and `unread`, whose bodies are gone.

        Those near the delivery limit go as copies: before RabbitMQ 4.3 even a nack counts as a delivery, and rollouts
        would make a message a suspect, and then park it.
        """
        near, others = split_by_limit(self._workers.take_back())
        if near:
            name = self._topology.name
            self._retry.publish([Copy(each, name, fresh_copy(each.message), "handed_back") for each in near])
        self._deliveries += others + unread
        self._deadline = time.monotonic() + WAIT_FOR_HANDLERS_SECONDS

    def on_narrowing(self, unread: list[Delivery], keep: int) -> None:
        """Requeue all but the next `keep` and those near the delivery limit, since a full queue takes no copies."""
        near, others = split_by_limit(self._workers.take_back(keep))
        self._workers.hand_over(near)
        self._deliveries += others + unread
        if keep:
            log.info("less is sent ahead: handlers are slow or messages large", handed_back=len(self))

    def lost(self) -> None:
        """Forget them: the broker has requeued them by itself."""
        self._deliveries = []

    def tick(self, now: float) -> None:
        """Requeue in one frame, once all that runs is settled; one by one at the deadline.

        From 32 commands to a quorum queue on, the broker keeps the next ones back, and drops them with the channel:
        behind a frame for each delivery the last acknowledgements would be lost.
        """
        subscription, count = self._subscription, len(self)
        if count and subscription.unsettled == count:
            subscription.requeue_all()
        elif now >= self._deadline:
            for delivery in self._deliveries:
                subscription.requeue(delivery, counted=False)
        else:
            return
        self._retry.totals["handed_back"] += count
        self._deliveries = []
