"""Copier: what a handler could not handle goes on as a copy; the original is acknowledged on the copy's confirm."""

import time
from collections.abc import Iterable

from common.logs import Quota, names
from common.outbox import Publication
from common.process import Process
from common.publisher import Publisher
from common.topology import Topology
from consumer import metrics
from consumer.copies import by_wear, failed_copy, fresh_copy
from consumer.delivery import Delivery
from consumer.outcome import Park, Retry
from consumer.settings import ConsumerSettings
from consumer.subscription import Subscription

Copy = tuple[Delivery, Retry | Park | None]  # None: handed back, never begun


class Copier:
    """Publishes on a connection of its own. I/O thread only.

    A broker in alarm stops reading from connections that publish, and acknowledgements would wait behind the copies.
    """

    def __init__(self, process: Process, settings: ConsumerSettings, subscription: Subscription) -> None:
        self.totals = {"retried": 0, "parked": 0, "handed_back": 0}
        self._subscription = subscription
        self._topology = Topology(settings.mq_ch, settings.consumer_retry_delays)
        self._quota = Quota()
        self.publisher: Publisher[Copy] = Publisher(
            "consumer_retry",
            process,
            settings,
            self._topology,
            window=settings.consumer_prefetch,
            on_progress=self._on_copied,
            on_refused=self._on_refused,
        )

    def tick(self, now: float) -> None:
        """Look after time-outs, and say how many failures had no line."""
        self.publisher.tick(now)
        self._quota.tick(now)

    def failed(self, failures: Iterable[tuple[Delivery, Retry | Park]]) -> None:
        """To the retry queue of its delay, or to the dead-letter queue, with the reason."""
        self.publisher.publish([self._failed(delivery, outcome) for delivery, outcome in failures])

    def refresh(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Of what nobody began with, send back as copies what was lost before, and return the others.

        Before RabbitMQ 4.3 even a nack counts as a delivery, and rollouts would make a message a suspect, and then park
        it. A copy's count begins anew.
        """
        name, (copies, others) = self._topology.name, by_wear(deliveries)
        self.publisher.publish([Publication(name, fresh_copy(each.message), (each, None)) for each in copies])
        return others

    def lost(self) -> None:
        """The broker has taken its deliveries back: their copies would be others, and more at each loss."""
        self.publisher.discard(lambda copy: self._subscription.current(copy[0]))

    def _failed(self, delivery: Delivery, outcome: Retry | Park) -> Publication[Copy]:
        message, topology = delivery.message, self._topology
        to = topology.retry(outcome.delay) if isinstance(outcome, Retry) else topology.dead
        said = {"error": outcome.error, "where": outcome.where, "attempt": message.attempt}
        self._quota.warn("failed", to=to, **said, **names(message))
        return Publication(to, failed_copy(message, outcome, topology.name, int(time.time())), (delivery, outcome))

    def _on_copied(self, copies: list[Publication[Copy]]) -> None:
        for _, outcome in (copy.token for copy in copies):
            if outcome is None:
                self.totals["handed_back"] += 1
            elif isinstance(outcome, Retry):
                self.totals["retried"] += 1
                metrics.RETRIED.inc()
            else:
                self.totals["parked"] += 1
                metrics.PARKED.inc()
        deliveries = (copy.token[0] for copy in copies)
        self._subscription.acknowledge([each.tag for each in deliveries if self._subscription.current(each)])

    def _on_refused(self, copy: Publication[Copy]) -> None:
        # It cannot be copied. Given back it is counted, until the broker's own limit parks it.
        self._subscription.give_back(copy.token[0], counted=True)
