"""RetryPublisher: what was not handled goes on as a copy; the original is acknowledged on the copy's confirm."""

import time
from collections.abc import Callable, Iterable

import structlog

from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.observe.logs import Quota, names
from common.process.run import Process
from consumer import metrics
from consumer.copies import fitted
from consumer.delivery import Delivery
from consumer.settings import ConsumerSettings
from consumer.settle import Copy
from consumer.subscription import Subscription

log = structlog.get_logger()
REFUSED_PAUSE_SECONDS = 1.0  # before what no broker takes a copy of is delivered again: some 20 times, not in 50 ms


class RetryPublisher:
    """Publishes on a connection of its own. I/O thread only.

    A broker in alarm stops reading from connections that publish, and acknowledgements would wait behind the copies.
    """

    def __init__(
        self,
        process: Process,
        settings: ConsumerSettings,
        topology: Topology,
        subscription: Subscription,
        hand_over: Callable[[Iterable[Delivery]], None],
    ) -> None:
        """`hand_over` gives deliveries to the handlers."""
        self.totals = {"retried": 0, "postponed": 0, "parked": 0, "handed_back": 0}
        self._process, self._subscription, self._hand_over = process, subscription, hand_over
        self._quota = Quota()
        self.publisher: Publisher[Copy] = Publisher(
            "consumer_retry",
            process,
            settings,
            topology,
            window=settings.consumer_prefetch,
            on_progress=self._on_confirmed,
            on_refused=self._on_refused,
        )

    def tick(self, now: float) -> None:
        """Look after time-outs and full queues, and log how many failures had no line of their own."""
        self.publisher.tick(now)
        self._retry_here(now)
        self._quota.tick(now)

    def _retry_here(self, now: float) -> None:
        """Have the handler try again what a full queue has refused for the whole of its delay.

        A retry queue may be full because it waits for room in MQ_CH, which this consumer would never make while it
        waits for room in the retry queue: under a policy that limits both, all stood still for ever. What a full
        dead-letter queue refuses would in the same way keep all others from a handler that works again.
        """
        again = []
        for delivery, queue, message, *_ in self.publisher.withdraw(lambda copy: copy.delay <= now):
            self._quota.warn("tried again here: the queue is full", to=queue, **names(message))
            again.append(delivery._replace(message=message, came=delivery.original))
        self._hand_over(again)

    def publish(self, copies: list[Copy]) -> None:
        for copy in copies:
            if copy.error:
                message, trace = copy.delivery.message, {"exception": copy.trace} if copy.trace else {}
                said = {"to": copy.queue, "error": copy.error, "where": copy.where, "attempt": message.attempt, **trace}
                # A traceback is the only one of its kind in a minute, and has a bound of its own.
                warn = log.warning if trace else self._quota.warn
                warn("postponed" if copy.counts_as == "postponed" else "failed", **said, **names(message))
        now, room = time.monotonic(), self._subscription.connection.properties_room
        publications = []
        for copy in copies:
            message = fitted(copy.message, room, parked=copy.counts_as == "parked")
            due = copy._replace(delay=now + copy.delay, message=message)
            publications.append(Publication(copy.queue, message, due))
        self.publisher.publish(publications)

    def lost(self) -> None:
        """Drop the copies of a lost channel: the broker delivers the originals again, and each loss adds some."""
        self.publisher.discard(lambda copy: self._subscription.current(copy.delivery))

    def _on_confirmed(self, confirmed: list[Publication[Copy]]) -> None:
        copies, subscription = [publication.token for publication in confirmed], self._subscription
        for copy in copies:
            self.totals[copy.counts_as] += 1
            if counter := metrics.BY_COPIES.get(copy.counts_as):
                counter.inc()
        subscription.acknowledge([copy.delivery.tag for copy in copies if subscription.current(copy.delivery)])

    def _on_refused(self, publication: Publication[Copy]) -> None:
        # No copy of it can be published. Each requeue is counted, until the broker's own limit parks it.
        delivery = publication.token.delivery
        self._process.call_later(REFUSED_PAUSE_SECONDS, lambda: self._subscription.requeue(delivery, counted=True))
