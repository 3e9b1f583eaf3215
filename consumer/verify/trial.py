"""Trial: a publisher and a consumer in one process, around a temporary queue, until all came or the time is over."""

import os
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from common.amqp.connection import State
from common.amqp.errors import FINAL, Kind
from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.message import Message
from common.process.run import Process
from common.settings.types import format_duration
from consumer.handler import MOST_THREADS
from consumer.subscription import Subscription
from consumer.verify.settings import TemporaryTopology, VerifySettings, pattern
from consumer.workers import Workers

SHORTEST_WAIT = 0.002  # seconds until the next message is due, however high the rate
RIGHTS = " (`consumer verify` needs the rights configure and read on ^{}$, and write on amq.default)"


class Results:
    """Messages are numbered from 0. Times are of `time.monotonic()`."""

    def __init__(self) -> None:
        self.sent_at: list[float] = []
        self.confirmed: set[int] = set()
        self.handled: Counter[int] = Counter()  # how often each number came
        self.latencies: list[float] = []  # seconds from the publisher to the first time in the handler
        self.last_at = 0.0  # when a message last came

    def send(self, now: float) -> int:
        """The number of the next message, which is given to the publisher."""
        self.sent_at.append(now)
        return len(self.sent_at) - 1

    def handle(self, number: int, now: float) -> None:
        self.last_at = now
        if number not in self.handled:
            self.latencies.append(now - self.sent_at[number])
        self.handled[number] += 1

    def age(self, now: float) -> float:
        """Seconds since the first message was given to the publisher."""
        return now - self.sent_at[0] if self.sent_at else 0.0

    def counts(self) -> dict[str, int]:
        """`lost` is confirmed by the broker and not delivered (yet)."""
        return {
            "attempted": len(self.sent_at),
            "confirmed": len(self.confirmed),
            "handled": len(self.handled),
            "lost": len(self.confirmed - self.handled.keys()),
            "duplicates": self.handled.total() - len(self.handled),
        }

    def latency(self) -> dict[str, float]:
        """Seconds; empty when nothing came."""
        ordered = sorted(self.latencies)
        return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99), "max": ordered[-1]} if ordered else {}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed (nearest rank). `ordered` is sorted and not empty."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


class Receiver:
    """The consumer's subscription and workers, with a handler that notes what came. I/O thread, but for the handler."""

    def __init__(
        self, process: Process, settings: VerifySettings, body: bytes, results: Results, on_end: Callable[[], None]
    ) -> None:
        """Note messages whose body is `body`, and whose id is the queue's name (MQ_CH), a dash, a number."""
        self._queue, self._body, self._results, self._on_end = settings.mq_ch, body, results, on_end
        self._seen: deque[tuple[int, float]] = deque()  # handler threads append, the I/O thread takes
        wake = process.guarded(self._settle)
        self._workers = Workers(
            self._handle, min(settings.consumer_workers, MOST_THREADS), (), lambda: process.call_soon(wake)
        )
        # Bodies are alike and the handler is quick: its prefetch needs no tick, and it is cancelled at the end alone.
        on = self._workers.hand_over, lambda _: self._workers.take_back(), lambda *_: on_end()
        self._subscription = Subscription(process, settings, *on)
        self._subscription.topology = TemporaryTopology(settings.mq_ch)
        self.connection = self._subscription.connection

    def start(self) -> None:
        self._workers.start()
        self.connection.open()

    def cancel(self) -> None:
        """Consume no more; `on_end` is called when that is so."""
        channel = self.connection.channel
        if channel and channel.consumer_tags:
            self._subscription.cancel()
        else:
            self._on_end()

    def _handle(self, message: Message) -> None:
        now = time.monotonic()
        queue, _, number = (message.message_id or "").rpartition("-")
        if queue == self._queue and message.body == self._body:
            self._seen.append((int(number), now))

    def _settle(self) -> None:
        deliveries = [delivery for delivery, *_ in self._workers.outcomes()]
        self._subscription.acknowledge([each.tag for each in deliveries if self._subscription.current(each)])
        while self._seen:
            self._results.handle(*self._seen.popleft())


class Sender:
    """The services' publisher, with VERIFY_COUNT messages at VERIFY_RATE. I/O thread only."""

    def __init__(
        self, process: Process, settings: VerifySettings, body: bytes, results: Results, on_refused: Callable[[], None]
    ) -> None:
        """Note what is sent and confirmed; `on_refused` is called for a message that no broker would take."""
        self._process, self._results, self._queue, self._body = process, results, settings.mq_ch, body
        self._count, self._rate = settings.verify_count, settings.verify_rate
        self._begun = False
        self.publisher: Publisher[int] = Publisher(
            "verify",
            process,
            settings,
            TemporaryTopology(settings.mq_ch),
            window=settings.consumer_prefetch,
            on_progress=self._on_progress,
            on_refused=lambda _: on_refused(),
        )

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._send_what_is_due()

    def _send_what_is_due(self) -> None:
        self._fill()
        if self._rate and len(self._results.sent_at) < self._count:
            self._process.call_later(max(SHORTEST_WAIT, 1 / self._rate), self._send_what_is_due)

    def _fill(self) -> None:
        results, now, most = self._results, time.monotonic(), self._count
        if self._rate:
            most = min(most, 1 + int(results.age(now) * self._rate))
        publications = []
        for _ in range(min(self.publisher.room, most - len(results.sent_at))):
            number = results.send(now)
            message = Message.of(self._body, f"{self._queue}-{number}")
            publications.append(Publication(self._queue, message, number))
        self.publisher.publish(publications)

    def _on_progress(self, confirmed: list[Publication[int]]) -> None:
        self._results.confirmed.update(publication.token for publication in confirmed)
        if self._begun:
            self._fill()


class Trial:
    """Implements `common.process.run.Service`."""

    def __init__(self, process: Process, settings: VerifySettings, on_tick: Callable[[], None]) -> None:
        """`on_tick` is called several times a second."""
        self.results = Results()
        self.topology = TemporaryTopology(f"{settings.mq_ch}.verify.{secrets.token_hex(4)}")
        self.problem = ""  # why it ended before its end
        self.deleted = False  # True once the broker has confirmed that the queue is deleted
        self._process, self._settings, self._on_tick = process, settings, on_tick
        self._deadline = time.monotonic() + settings.verify_timeout
        own = settings.model_copy(update={"mq_ch": self.topology.name, "mq_topology": "create"})
        body, results = os.urandom(settings.verify_size), self.results
        self._receiver = Receiver(process, own, body, results, self._delete)
        self._sender = Sender(process, own, body, results, self._on_refused)
        self._connections = (self._receiver.connection, self._sender.publisher.connection)

    @property
    def broker(self) -> str:
        return str(self._connections[0].broker)

    def start(self) -> None:
        self._receiver.start()
        self._sender.publisher.connection.open()

    def tick(self, now: float) -> None:
        self._sender.publisher.tick(now)
        # Not before the consumer is there: the first messages would wait for it, and look slow.
        if all(connection.state is State.OPEN for connection in self._connections):
            self._sender.begin()
        if not self.done():
            self.problem = self._final() or (self._late() if now >= self._deadline else "")
        self._on_tick()

    def stop(self) -> None:
        if not self.done():
            self.problem = "stopped by a signal"

    def done(self) -> bool:
        """Whether each message was confirmed and handled, or there is no point in waiting."""
        return not self._left() or bool(self.problem)

    def close(self) -> None:
        self._receiver.cancel()

    def closed(self) -> bool:
        return all(connection.state is State.CLOSED for connection in self._connections)

    def reasons(self) -> list[str]:
        return [*self._receiver.connection.reasons(), *self._sender.publisher.reasons()]

    def summary(self) -> tuple[int, dict[str, Any]]:
        return self._left(), {}

    def _left(self) -> int:
        return self._settings.verify_count - min(len(self.results.confirmed), len(self.results.handled))

    def _final(self) -> str:
        refusals = [
            each.broker_error for each in self._connections if each.broker_error and each.broker_error.kind in FINAL
        ]
        if not refusals or len(self._settings.broker_urls()) > 1:  # another broker may think otherwise
            return ""
        rights = RIGHTS.format(pattern(self._settings.mq_ch)) if refusals[0].kind is Kind.PERMISSION else ""
        return f"{refusals[0].text}{rights or f'; {refusals[0].advice}'}"

    def _late(self) -> str:
        reasons = "; ".join(self.reasons()) or "the broker does not deliver them"
        return f"not all came in {format_duration(self._settings.verify_timeout)}: {reasons}"

    def _on_refused(self) -> None:
        self.problem = f"the broker refuses a message: {self._connections[1].broker_error}"

    def _delete(self) -> None:
        # Preferably on the consuming connection: a broker in alarm reads nothing from one that publishes.
        channel = next((each.channel for each in self._connections if each.channel), None)
        if channel:
            channel.queue_delete(self.topology.name, callback=self._process.guarded(lambda _: self._leave(True)))
        else:
            self._leave(False)

    def _leave(self, deleted: bool) -> None:
        self.deleted = deleted
        for connection in self._connections:
            connection.close()
