"""Sender: the services' publisher, with so many messages at such a rate."""

import time
from collections.abc import Callable

from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.message import Message
from common.process.run import Process
from consumer.verify.ledger import Ledger
from consumer.verify.settings import VerifySettings

PACE = 0.002  # seconds; the shortest wait for the next message that is due


class Sender:
    """I/O thread only."""

    def __init__(
        self,
        process: Process,
        settings: VerifySettings,
        topology: Topology,
        *,
        body: bytes,
        ledger: Ledger,
        on_refused: Callable[[], None],
    ) -> None:
        """Note in `ledger` what is sent and confirmed; `on_refused` hears of a message that no broker would take."""
        self._process, self._ledger, self._queue, self._body = process, ledger, topology.name, body
        self._count, self._rate = settings.verify_count, settings.verify_rate
        self._begun = False
        self.publisher: Publisher[int] = Publisher(
            "verify",
            process,
            settings,
            topology,
            window=settings.consumer_prefetch,
            on_progress=self._on_progress,
            on_refused=lambda _: on_refused(),
        )

    def begin(self) -> None:
        """Send from now on."""
        if not self._begun:
            self._begun = True
            self._pace()

    def _pace(self) -> None:
        self._fill()
        if self._rate and self._ledger.attempted < self._count:
            self._process.call_later(max(PACE, 1 / self._rate), self._pace)

    def _fill(self) -> None:
        ledger, now, most = self._ledger, time.monotonic(), self._count
        if self._rate:
            most = min(most, 1 + int(ledger.age(now) * self._rate))
        publications = []
        for _ in range(min(self.publisher.room, most - ledger.attempted)):
            number = ledger.send(now)
            message = Message.of(self._body, f"{self._queue}-{number}")
            publications.append(Publication(self._queue, message, number))
        self.publisher.publish(publications)

    def _on_progress(self, confirmed: list[Publication[int]]) -> None:
        for publication in confirmed:
            self._ledger.confirm(publication.token)
        if self._begun:
            self._fill()
