"""RetryPublisher: what was not handled goes on as a copy, and what is forwarded as a message of its own.

The original is acknowledged on the confirm.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from common.amqp.inflight import Publication, Single
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.observe.logs import Quota, names
from common.process.run import Process
from consumer import metrics
from consumer.copies import fitted
from consumer.delivery import Delivery
from consumer.forward import NotForwarded
from consumer.outcome import ACK, decide
from consumer.settings import ConsumerSettings
from consumer.settle import Copy, Done, ToForward
from consumer.subscription import Subscription

log = structlog.get_logger()
REFUSED_PAUSE_SECONDS = 1.0  # before what no broker takes a copy of is delivered again: some 20 times, not in 50 ms


@dataclass(slots=True, eq=False)
class Forwarding:
    """A delivery whose handler forwards: `left` messages are not confirmed; below 0 when one of them has failed."""

    delivery: Delivery
    seconds: float
    left: int
    delay: float = math.inf


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
        self._process, self._subscription, self._topology = process, subscription, topology
        self._hand_over = hand_over
        self.on_forwarded: Callable[[list[Done]], None] = lambda _: None  # gets what is forwarded, or has failed to be
        self._concluded: list[Done] = []
        self._quota = Quota()
        self.publisher: Publisher[Copy | Forwarding] = Publisher(
            "consumer_retry",
            process,
            settings,
            topology,
            window=settings.consumer_prefetch,
            on_progress=self._on_confirmed,
            on_refused=self._on_refused,
        )
        self.publisher.on_failed = self._on_failed

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
        refused = self.publisher.withdraw(lambda copy: copy.delay <= now)
        for delivery, queue, message, *_ in (copy for copy in refused if isinstance(copy, Copy)):
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
        publications: list[Publication[Copy | Forwarding]] = []
        for copy in copies:
            message = fitted(copy.message, room, parked=copy.counts_as == "parked")
            due = copy._replace(delay=now + copy.delay, message=message)
            publications.append(Publication(copy.queue, message, due))
        self.publisher.publish(publications)

    def forward(self, handled: list[ToForward]) -> None:
        """Publish what handlers forward."""
        publications: list[Publication[Copy | Forwarding]] = []
        for delivery, outcome, seconds in handled:
            self._subscription.holds(delivery, outcome.size)
            forwarding = Forwarding(delivery, seconds, len(outcome.messages))
            for forward, message in zip(outcome.forwards, outcome.messages, strict=True):
                publications.append(Single(*forward.destination, message, forwarding))
        self.publisher.publish(publications)

    def lost(self) -> None:
        """Drop the copies of a lost channel: the broker delivers the originals again, and each loss adds some."""
        self.publisher.discard(lambda copy: self._subscription.current(copy.delivery))

    def _on_confirmed(self, confirmed: list[Publication[Copy | Forwarding]]) -> None:
        tags: list[int] = []
        for token in [publication.token for publication in confirmed]:
            if isinstance(token, Forwarding):
                token.left -= 1
                if not token.left:
                    self._conclude((token.delivery, ACK, token.seconds))
                continue
            self.totals[token.counts_as] += 1
            if counter := metrics.BY_COPIES.get(token.counts_as):
                counter.inc()
            if self._subscription.current(token.delivery):
                tags.append(token.delivery.tag)
        self._subscription.acknowledge(tags)

    def _on_failed(self, publication: Publication[Copy | Forwarding], reason: str, outage: bool) -> None:
        token, exchange, key = publication.token, publication.exchange, publication.routing_key
        if isinstance(token, Forwarding) and token.left > 0:
            token.left = -1
            place = f"the exchange {exchange} with the routing key {key!r}" if exchange else f"the queue {key}"
            error = (NotForwarded if outage else ValueError)(f"{place}: {reason}")
            outcome = decide(error, token.delivery.message.attempt, self._topology.delays)
            self._conclude((token.delivery, outcome, token.seconds))

    def _conclude(self, done: Done) -> None:
        if not self._concluded:  # all of a turn together: a broker may confirm one by one
            self._process.call_later(0.0, self._hand_on)
        self._concluded.append(done)

    def _hand_on(self) -> None:
        done, self._concluded = self._concluded, []
        self.on_forwarded(done)

    def _on_refused(self, publication: Publication[Copy | Forwarding]) -> None:
        # No copy of it can be published. Each requeue is counted, until the broker's own limit parks it.
        delivery = publication.token.delivery
        self._process.call_later(REFUSED_PAUSE_SECONDS, lambda: self._subscription.requeue(delivery, counted=True))
