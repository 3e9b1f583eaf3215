"""The producer's service: from the source through the publisher, and back only what was confirmed."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from common.amqp.connection import State
from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.process.run import Process, Watched
from producer.follower import Follower, Item
from producer.reader import SourceReader, Unsendable
from producer.settings import ProducerSettings


class ProducerService(Watched):
    """All of it runs on the I/O thread. Nothing of ours can hang, so it has no problems."""

    def __init__(
        self,
        process: Process,
        settings: ProducerSettings,
        source: Callable[[], Iterable[Item]],
        followers: Sequence[Follower] = (),
        *,
        name: str,
        stop: Callable[[], bool | None] | None = None,
    ) -> None:
        """`name` begins the ids. `stop` asks the source to end; without it, or where it is False, it is left behind."""
        self._process, self._window, self._followers = process, settings.producer_window, followers
        fill = process.guarded(self._fill)
        self._fill_soon: Callable[[], None] = lambda: process.call_soon(fill)
        self._reader = SourceReader(source, self._fill_soon, settings, name)
        self.publisher: Publisher[int] = Publisher(
            "producer",
            process,
            settings,
            Topology(settings.mq_ch),
            window=self._window,
            on_progress=self._on_progress,
            on_refused=self._on_refused,
        )
        self._stop = stop or (lambda: False)
        self._confirmed = self._refused = 0
        self._grace = settings.shutdown_grace
        self._told_of = (0, 0.0)  # how many were untold when that last changed, and until when it must change again

    def start(self) -> None:
        self.publisher.connection.open()
        self._reader.start()

    def _fill(self) -> None:
        """From the source to the publisher, as much as there is room for: on a wake-up, or on progress."""
        if (room := self.publisher.room) <= 0:
            return
        batch = self._reader.take(room)
        for follower in self._followers:
            for each in batch:
                follower.taken(each.token)
        for each in batch:
            if isinstance(each, Unsendable):
                self.publisher.refused(each.reason, message_id=each.message_id)
                self._on_refused(each)
        self.publisher.publish([each for each in batch if isinstance(each, Publication)])
        if batch and self.publisher.room >= room:  # nothing was sent, so no confirm will ask for more
            self._fill_soon()

    def _on_progress(self, confirmed: list[Publication[int]]) -> None:
        self._confirmed += len(confirmed)
        for follower in self._followers:
            for publication in confirmed:
                follower.confirmed(publication.token)
        # Half a window at a time, so that many messages go in one send.
        if self.publisher.room * 2 >= self._window or not confirmed:
            self._fill()

    def _on_refused(self, refused: Publication[int] | Unsendable) -> None:
        self._refused += 1
        for follower in self._followers:
            follower.refused(refused.token)

    @property
    def error(self) -> BaseException | None:
        return self._reader.error

    def tick(self, now: float) -> None:
        self.publisher.tick(now)
        for follower in self._followers:
            follower.tick(now)
            if follower.error:
                self._reader.fail(follower.error)

    def stop(self) -> None:
        if self._stop() is False:
            self._reader.stop()

    def done(self) -> bool:
        """Whether all is confirmed, and told to the source in SHUTDOWN_GRACE; or a stop finds nobody to confirm it."""
        # A connection that was just lost is tried once more: what was taken would be given up for a short cut.
        in_vain = self._process.stopping and self.publisher.connection.all_failed
        if not in_vain and (self._left() or not self._reader.ended):
            return False
        now, untold = time.monotonic(), self._untold()
        if untold != self._told_of[0]:
            self._told_of = untold, now + self._grace
        return not untold or now >= self._told_of[1] or any(follower.error for follower in self._followers)

    def close(self) -> None:
        self._reader.stop()
        self.publisher.connection.close()
        for follower in self._followers:
            follower.close()

    def closed(self) -> bool:
        return self.publisher.connection.state is State.CLOSED

    def reasons(self) -> list[str]:
        return self.publisher.reasons()

    def summary(self) -> tuple[int, dict[str, Any]]:
        """Left over: taken and not confirmed, or refused, or the source was not told of it; and totals."""
        unconfirmed = self._left()
        totals = {"published": self.publisher.metrics.sent, "confirmed": self._confirmed}
        left = unconfirmed + self._refused + bool(self.error) + self._untold()
        return left, {**totals, "unconfirmed": unconfirmed, "refused": self._refused}

    def _untold(self) -> int:
        return sum(follower.untold() for follower in self._followers)

    def _left(self) -> int:
        return len(self.publisher) + len(self._reader)
