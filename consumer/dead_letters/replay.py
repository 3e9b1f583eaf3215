"""Replay and Purge: scans that take messages out of the dead-letter queue, back to MQ_CH or for good."""

from collections import deque

from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.process.run import Process
from common.settings.shared import Settings
from consumer.copies import fitted, replayed_copy
from consumer.dead_letters.dead_letter import DeadLetter, Filter
from consumer.dead_letters.scan import Report, Scan
from consumer.progress import Progress

MAX_UNCONFIRMED = 1024  # messages
MIN_BATCH, MAX_BATCH = 512, 20_000  # messages


class Purge(Scan):
    """Acknowledges what the filter accepts."""

    command = "purge"

    def act(self, tag: int, _letter: DeadLetter) -> None:
        self.browser.acknowledge([tag])


class Replay(Scan):
    """Publishes a copy of what the filter accepts, and acknowledges the original when the broker confirmed the copy.

    A kill between confirm and acknowledgement makes a duplicate, and loses nothing.
    """

    command = "replay"
    memory = 16 * 1024 * 1024  # bytes of bodies in a batch: the replay holds them until they are published

    def __init__(self, process: Process, settings: Settings, wanted: Filter, progress: Progress) -> None:
        super().__init__(process, settings, wanted, progress)
        self._published = self._unpublishable = 0  # messages; the second are those of the first that no broker takes
        self._queue = settings.mq_ch
        self._waiting: deque[tuple[int, DeadLetter]] = deque()
        self._publisher: Publisher[int] = Publisher(
            "dead_letters_replay",
            process,
            settings,
            Topology(settings.mq_ch),
            window=MAX_UNCONFIRMED,
            on_progress=self._on_progress,
            on_refused=self._on_refused,
        )
        self.connections.append(self._publisher.connection)

    def idle(self) -> bool:
        return not self._waiting and not len(self._publisher)

    def next_batch(self, seen: int, size: int, left: int) -> int:
        """None while messages wait to be published: at most one batch, and what is in flight, is in memory.

        Each batch is a consumer to the broker until it is acknowledged. RabbitMQ 3.10 puts back in order what up to 32
        consumers held, so a batch grows with what is held: 32 are enough for some 500,000 messages.
        """
        held = seen - self.count
        most = min(max(MIN_BATCH, held // 2), MAX_BATCH)
        return 0 if self._waiting else min(super().next_batch(seen, size, left), most)

    def act(self, tag: int, letter: DeadLetter) -> None:
        self._waiting.append((tag, letter))
        self._publish()

    def tick(self, now: float) -> None:
        self._publisher.tick(now)
        super().tick(now)

    def stop(self) -> None:
        """What is not published yet stays parked; the confirms of what is are waited for."""
        super().stop()
        self._waiting.clear()

    def summary(self) -> tuple[int, dict[str, object]]:
        """Left over are the messages that were published and not acknowledged: they may be in both queues now."""
        return self._unconfirmed, super().summary()[1]

    def report(self) -> Report:
        return super().report()._replace(unpublishable=self._unpublishable, unconfirmed=self._unconfirmed)

    @property
    def _unconfirmed(self) -> int:
        return self._published - self._unpublishable - self.count

    def _on_progress(self, confirmed: list[Publication[int]]) -> None:
        self.browser.acknowledge([each.token for each in confirmed])
        self._publish()

    def _on_refused(self, _publication: Publication[int]) -> None:
        self._unpublishable += 1

    def _publish(self) -> None:
        if self._waiting and (room := self._publisher.room) > 0 and not self.browser.error:
            letters = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
            self._published += len(letters)
            room = self._publisher.connection.properties_room
            made = [(tag, fitted(replayed_copy(letter.message), room)) for tag, letter in letters]
            self._publisher.publish([Publication(self._queue, message, tag) for tag, message in made])
