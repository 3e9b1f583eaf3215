"""Replay: back to the queue it came from, and out of the dead-letter queue on the broker's confirm."""

from collections import deque

from common.amqp.connection import Connection
from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.process.run import Process
from common.settings.shared import Settings
from consumer.copies import replayed_copy
from consumer.dead_letters.chunks import WORK, work_chunk
from consumer.dead_letters.parked import Parked
from consumer.dead_letters.report import Report
from consumer.dead_letters.selection import Selection
from consumer.dead_letters.walk import Walk
from consumer.progress import Progress

WINDOW = 1024  # messages without their confirm


class Replay(Walk):
    """A kill between confirm and acknowledgement makes a duplicate, and loses nothing."""

    command = "replay"
    settles = True

    def __init__(self, process: Process, settings: Settings, selection: Selection, progress: Progress) -> None:
        super().__init__(process, settings, selection, progress)
        self._sent = self._unpublishable = 0  # messages; of those sent, the ones that no broker takes
        self._queue = settings.mq_ch
        self._waiting: deque[tuple[int, Parked]] = deque()
        self._size = 0  # bytes of the bodies that wait, or for their confirm
        self._publisher: Publisher[int] = Publisher(
            "dead_letters_replay",
            process,
            settings,
            Topology(settings.mq_ch),
            window=WINDOW,
            on_progress=self._on_progress,
            on_refused=self._on_refused,
        )

    def connections(self) -> list[Connection]:
        """One to look, one to publish."""
        return [self.browser.connection, self._publisher.connection]

    def idle(self) -> bool:
        """Whether all that was taken is confirmed."""
        return not self._waiting and not len(self._publisher)

    def next_chunk(self, seen: int, size: int, left: int) -> int:
        """None before most of what was taken is confirmed: no more than two chunks are in memory."""
        room = len(self._waiting) + len(self._publisher) < WINDOW and self._size < WORK
        return work_chunk(seen, size, left, seen - self.browser.settlement.settled) if room else 0

    def take(self, tag: int, parked: Parked) -> None:
        """Publish it when there is room."""
        self._waiting.append((tag, parked))
        self._size += len(parked.message.body)

    def tick(self, now: float) -> None:
        """Look after the publisher too."""
        self._publisher.tick(now)
        super().tick(now)

    def stop(self) -> None:
        """What is not published yet stays parked; what is, is waited for."""
        super().stop()
        self._size -= sum(len(parked.message.body) for _, parked in self._waiting)
        self._waiting.clear()

    def summary(self) -> tuple[int, dict[str, object]]:
        """Left over: sent, and not acknowledged after a confirm; they may be in both queues now."""
        return self._unconfirmed, super().summary()[1]

    def report(self) -> Report:
        """With what only a replay can leave."""
        return super().report()._replace(unpublishable=self._unpublishable, unconfirmed=self._unconfirmed)

    @property
    def _unconfirmed(self) -> int:
        return self._sent - self._unpublishable - self.count

    def _on_progress(self, confirmed: list[Publication[int]]) -> None:
        self.browser.settlement.add([each.token for each in confirmed])
        self._size -= sum(len(each.message.body) for each in confirmed)
        if self._waiting and (room := self._publisher.room) > 0 and not self.browser.lost_by:
            batch = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
            copies = [Publication(self._queue, replayed_copy(parked.message), tag) for tag, parked in batch]
            self._sent += len(batch)
            self._publisher.publish(copies)

    def _on_refused(self, publication: Publication[int]) -> None:
        self._unpublishable += 1
        self._size -= len(publication.message.body)
