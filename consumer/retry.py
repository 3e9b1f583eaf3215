"""Copier: what a handler could not handle goes on as a copy; the original is acknowledged on the copy's confirm."""

import time
from collections.abc import Iterable

from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.message import ATTEMPT, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from common.observe.logs import Quota, names
from common.process.run import Process
from consumer import metrics
from consumer.delivery import DELIVERY_COUNT, Delivery, by_wear
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


REPLAYS = "mq-replays"
# Counts that the broker keeps of the original; on a copy they would be somebody else's.
BROKERS_COUNTS = {DELIVERY_COUNT: None, "x-acquired-count": None}
MOST = 2**31 - 1  # of a count that is ours: one from outside may be more than a header can hold
# The broker's, of a message that it parked itself. On RabbitMQ 3.10 a copy with them never leaves its retry queue: it
# would go to a queue that these name already, which the broker takes for a circle.
DEATHS = dict.fromkeys(
    ["x-death", *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("exchange", "queue", "reason"))]
)


def failed_copy(message: Message, outcome: Retry | Park, queue: str, now: int) -> Message:
    """As it comes again or is parked: with attempt, first and last error, queue, and a date (`now`, in seconds)."""
    again = isinstance(outcome, Retry)
    return message.copied(
        {
            **BROKERS_COUNTS,
            **(DEATHS if again else {}),
            # Not what is there, read and written again: from outside it may be what can only be read.
            **({} if FIRST_ERROR in message.headers else {FIRST_ERROR: outcome.error}),
            ATTEMPT: min(message.attempt + again, MOST),
            LAST_ERROR: outcome.error,
            QUEUE: queue,
        },
        now,
    )


def fresh_copy(message: Message) -> Message:
    """The message as it is, with the broker's count of its deliveries at 0 again."""
    return message.copied(BROKERS_COUNTS)


def replayed_copy(message: Message) -> Message:
    """The parked message as it comes again: the attempts begin anew, the errors stay, the replays are counted."""
    return message.copied({**BROKERS_COUNTS, **DEATHS, ATTEMPT: None, REPLAYS: min(replays(message) + 1, MOST)})


def replays(message: Message) -> int:
    """How often it came back from the dead-letter queue."""
    count = message.headers.get(REPLAYS, 0)
    return count if isinstance(count, int) else 0
