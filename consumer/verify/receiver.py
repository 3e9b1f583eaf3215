"""Receiver: the consumer's subscription and workers, with a handler that notes what came."""

import time
from collections import deque
from collections.abc import Callable

from common.amqp.topology import Topology
from common.message import Message
from common.process.run import Process
from consumer.settings import ConsumerSettings
from consumer.subscription import Subscription
from consumer.verify.ledger import Ledger
from consumer.workers import Workers


class Receiver:
    """I/O thread only, but for the handler."""

    def __init__(
        self,
        process: Process,
        settings: ConsumerSettings,
        topology: Topology,
        *,
        body: bytes,
        ledger: Ledger,
        on_cancelled: Callable[[], None],
    ) -> None:
        """Note in `ledger` the messages whose body is `body`, and whose id is the queue's name, a dash, a number."""
        self._queue, self._body, self._ledger, self._on_cancelled = topology.name, body, ledger, on_cancelled
        self._seen: deque[tuple[int, float]] = deque()  # handler threads append, the I/O thread takes
        wake = process.guarded(self._settle)
        self._workers = Workers(self._handle, settings.consumer_workers, (), lambda: process.call_soon(wake))
        take_back = self._workers.take_back
        # Without its tick, since bodies are all alike and the handler is quick: what is cancelled has ended.
        on = self._workers.hand_over, take_back, lambda *_: on_cancelled()
        self._subscription = Subscription(process, settings, *on)
        self._subscription.topology = topology
        self.connection = self._subscription.connection

    def start(self) -> None:
        """Start the workers, and consume."""
        self._workers.start()
        self.connection.open()

    def cancel(self) -> None:
        """Consume no more; `on_cancelled` is called when that is so."""
        channel = self.connection.channel
        if channel and channel.consumer_tags:
            self._subscription.cancel()
        else:
            self._on_cancelled()

    def _handle(self, message: Message) -> None:
        now = time.monotonic()
        queue, _, number = (message.message_id or "").rpartition("-")
        if queue == self._queue and message.body == self._body:
            self._seen.append((int(number), now))

    def _settle(self) -> None:
        deliveries = [delivery for delivery, *_ in self._workers.outcomes()]
        self._subscription.acknowledge([each.tag for each in deliveries if self._subscription.current(each)])
        while self._seen:
            self._ledger.handle(*self._seen.popleft())
