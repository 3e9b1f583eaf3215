"""The consumer's service: from the subscription to the workers, and their outcomes back to the broker."""

import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

from common.logs import Quota
from common.message import Message
from common.process import Process
from common.publisher import Publication, Publisher
from common.state import State
from common.topology import DELIVERY_LIMIT, Topology
from consumer import metrics
from consumer.copies import delivery_count, failed_copy, fresh_copy
from consumer.delivery import Delivery
from consumer.outcome import Ack, Park, Retry
from consumer.settings import ConsumerSettings
from consumer.subscription import Subscription
from consumer.workers import Workers

log = structlog.get_logger()

LINES = 20  # a second, of what could come with every message
Copy = tuple[Delivery, Retry | Park | None]  # None: handed back, never begun


class ConsumerService:
    """Implements `common.process.Service`. All of it runs on the I/O thread.

    Copies go out on a second connection: a broker in alarm stops reading from connections that publish, and
    acknowledgements would wait behind.
    """

    def __init__(self, process: Process, settings: ConsumerSettings, handle: Callable[[Message], None]) -> None:
        delays = settings.consumer_retry_delays
        wake = process.guarded(self._settle)
        self._process, self._settings = process, settings
        self._topology = Topology(settings.mq_ch, delays)
        self._workers = Workers(handle, settings.consumer_workers, delays, lambda: process.call_soon(wake))
        self._subscription = Subscription(
            process, settings, self._workers.hand_over, self._workers.take_back, self._hand_back
        )
        self._publisher: Publisher[Copy] = Publisher(
            "consumer_retry",
            process,
            settings,
            self._topology,
            window=settings.consumer_prefetch,
            max_body=sys.maxsize,  # what came from the broker fits into it
            on_progress=self._on_copied,
            on_refused=self._on_refused,
        )
        self._stopping = False
        self._totals = {"handled": 0, "retried": 0, "parked": 0, "handed_back": 0}
        self._quota = Quota(LINES)

    def start(self) -> None:
        """Connect both connections, start the workers."""
        self._workers.start()
        self._subscription.connection.open()
        self._publisher.connection.open()

    def tick(self, now: float) -> None:
        """Look after time-outs and idleness."""
        self._publisher.tick(now)
        skipped = self._quota.tick(now)
        if skipped:
            log.warning("more failures, not logged one by one", count=skipped)
        idle, subscription = self._settings.consumer_idle_exit, self._subscription
        if subscription.unsettled or subscription.connection.state is not State.OPEN:
            subscription.active_at = now
        elif idle is not None and now - subscription.active_at >= idle and not self._stopping:
            log.info("idle", seconds=idle)
            self.stop()

    def stop(self) -> None:
        """Consume no more; then hand back what no handler began with."""
        self._stopping = True
        self._subscription.cancel()

    def done(self) -> bool:
        """Whether all is settled, or cannot be."""
        subscription = self._subscription
        settled = subscription.cancelled and not subscription.unsettled
        return self._stopping and (subscription.connection.state is not State.OPEN or settled)

    def close(self) -> None:
        """Close both connections."""
        self._subscription.connection.close()
        self._publisher.connection.close()

    def closed(self) -> bool:
        """Whether the broker answered on both."""
        return self._subscription.connection.state is self._publisher.connection.state is State.CLOSED

    def problems(self) -> list[str]:
        """A handler over its time: only a new process ends it."""
        longest, most = self._workers.longest(time.monotonic()), self._settings.consumer_handler_timeout
        return [f"a handler has run for {longest:.0f}s, over CONSUMER_HANDLER_TIMEOUT"] if longest > most else []

    def reasons(self) -> list[str]:
        """Why it is not ready."""
        return [*self._subscription.connection.reasons(), *self._publisher.reasons()]

    def summary(self) -> tuple[int, dict[str, Any]]:
        """Left over: deliveries that began and did not end; the broker delivers them again."""
        return len(self._subscription.unsettled), self._totals

    def _settle(self) -> None:
        acks: list[int] = []
        copies: list[Publication[Copy]] = []
        for delivery, outcome, seconds in self._workers.outcomes():
            metrics.HANDLER_SECONDS.observe(seconds)
            if not self._subscription.current(delivery):
                continue  # the broker has requeued it
            age = delivery.message.age
            if age is not None:
                metrics.AGE_SECONDS.observe(age)
            if isinstance(outcome, Ack):
                acks.append(delivery.tag)
            else:
                copies.append(self._failed(delivery, outcome))
        self._totals["handled"] += len(acks)
        metrics.ACKED.inc(len(acks))
        self._subscription.acknowledge(acks)
        self._publisher.publish(copies)

    def _failed(self, delivery: Delivery, outcome: Retry | Park) -> Publication[Copy]:
        message, topology = delivery.message, self._topology
        to = topology.retry(outcome.delay) if isinstance(outcome, Retry) else topology.dead
        if self._quota.allows():
            names = {"message_id": message.message_id, "attempt": message.attempt}
            log.warning("failed", to=to, error=outcome.error, where=outcome.where, **names)
        return Publication(to, failed_copy(message, outcome, topology.name), (delivery, outcome))

    def _on_copied(self, copies: list[Publication[Copy]]) -> None:
        """Their copies are confirmed, so the originals may go."""
        for _, outcome in (copy.token for copy in copies):
            if outcome is None:
                self._totals["handed_back"] += 1
            elif isinstance(outcome, Retry):
                self._totals["retried"] += 1
                metrics.RETRIED.inc()
            else:
                self._totals["parked"] += 1
                metrics.PARKED.inc()
        deliveries = (copy.token[0] for copy in copies)
        self._subscription.acknowledge([each.tag for each in deliveries if self._subscription.current(each)])

    def _on_refused(self, copy: Publication[Copy], _reason: str) -> None:
        """It cannot be copied. Given back it is counted, until the broker's own limit parks it."""
        self._subscription.give_back(copy.token[0], counted=True)

    def _hand_back(self, arrived: list[Delivery]) -> None:
        copies: list[Publication[Copy]] = []
        for delivery in self._workers.take_back() + arrived:
            # Before RabbitMQ 4.3 even this counts, and twenty rollouts must not park what nobody began with: halfway
            # to the limit a copy goes back, whose count begins anew.
            if delivery_count(delivery.message) >= DELIVERY_LIMIT // 2:
                copies.append(Publication(self._topology.name, fresh_copy(delivery.message), (delivery, None)))
            else:
                self._subscription.give_back(delivery, counted=False)
                self._totals["handed_back"] += 1
        self._publisher.publish(copies)
