"""The producer's service: from the feed through the publisher, and back only what was confirmed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from common.amqp.connection import State
from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.process.run import Process
from producer.reader import Feed, Pace, UnsendableError
from producer.settings import ProducerSettings
from producer.source import Follower, Item


class ProducerService:
    """Implements `common.process.run.Service`. All of it runs on the I/O thread."""

    def __init__(
        self,
        process: Process,
        settings: ProducerSettings,
        source: Callable[[], Iterable[Item]],
        followers: Sequence[Follower] = (),
        *,
        name: str,
        stop: Callable[[], None] | None = None,
    ) -> None:
        """`name` begins the ids of messages. `stop` asks the source to end by itself; without it, it is left behind."""
        window = settings.producer_window
        rate = settings.producer_rate or (1.0 if settings.producer_source == "heartbeat" else None)
        self._process = process
        self._queue, self._window = settings.mq_ch, window
        self.publisher: Publisher[int | None] = Publisher(
            "producer",
            process,
            settings,
            Topology(settings.mq_ch),
            window=window,
            on_progress=self._on_progress,
            on_refused=self._on_refused,
        )
        wake = process.guarded(self._fill)
        # With a rate no more than a second's worth is read ahead, or an outage would end in a burst.
        size = max(1, min(window, round(rate))) if rate else window
        self._feed = Feed(
            source,
            lambda: process.call_soon(wake),
            Pace(rate),
            size=size,
            max_body=settings.mq_max_body,
            most=settings.producer_count,
            name=name,
        )
        self._followers, self._stop = followers, stop or self._feed.stop
        self._confirmed = self._refused = 0

    def start(self) -> None:
        """Connect, and begin to read the source."""
        self.publisher.connection.open()
        self._feed.start()

    def tick(self, now: float) -> None:
        """Look after time-outs."""
        self.publisher.tick(now)
        for follower in self._followers:
            follower.tick(now)

    def stop(self) -> None:
        """Read the source no further."""
        self._stop()

    def done(self) -> bool:
        """Whether all that was read is confirmed; or the process stops and there is nobody to confirm it."""
        # A connection that was just lost is tried once more: what was taken would be given up for a short cut.
        if self._process.stopping and self.publisher.connection.all_failed:
            return True
        return self._feed.ended and not self._left()

    def close(self) -> None:
        """Close the connection."""
        self._feed.stop()
        self.publisher.connection.close()
        for follower in self._followers:
            follower.close()

    def closed(self) -> bool:
        """Whether the broker answered."""
        return self.publisher.connection.state is State.CLOSED

    def problems(self) -> list[str]:
        """Why the process is not live: nothing of ours can hang."""
        return []

    def reasons(self) -> list[str]:
        """Why it is not ready."""
        return self.publisher.reasons()

    def summary(self) -> tuple[int, dict[str, Any]]:
        """Left over: taken and not confirmed, or refused; and totals."""
        left = self._left() + self._refused + bool(self._feed.error)
        totals = {"published": self.publisher.metrics.sent, "confirmed": self._confirmed}
        return left, {**totals, "unconfirmed": self._left(), "refused": self._refused}

    def _left(self) -> int:
        return len(self.publisher) + len(self._feed)

    def _on_progress(self, confirmed: list[Publication[int | None]]) -> None:
        self._confirmed += len(confirmed)
        for follower in self._followers:
            for publication in confirmed:
                if publication.token is not None:
                    follower.confirmed(publication.token)
        # Half a window at a time, so that many messages go in one send.
        if self.publisher.room * 2 >= self._window or not confirmed:
            self._fill()

    def _on_refused(self, publication: Publication[int | None]) -> None:
        self._refuse(publication.token)

    def _fill(self) -> None:
        room = self.publisher.room
        if room <= 0:
            return
        publications = []
        for value, position, _ in self._feed.take(room):
            if position is not None:
                for follower in self._followers:
                    follower.taken(position)
            if isinstance(value, UnsendableError):
                self.publisher.refused(str(value), message_id=value.message_id)
                self._refuse(position)
            else:
                publications.append(Publication(self._queue, value, position))
        self.publisher.publish(publications)

    def _refuse(self, position: int | None) -> None:
        self._refused += 1
        if position is not None:
            for follower in self._followers:
                follower.refused(position)
