"""Breaker: tells an outage of something that handlers need from messages that cannot be handled. Pure.

In an outage every message fails, and each would be parked once its retries are used up. So after so many failures in a
row, of as many messages, the breaker opens: a failure is no attempt any more, and one message at a time is tried, each
time another, until the first success closes it.
"""

from collections.abc import Iterable

from common.amqp.backoff import full_jitter
from consumer.outcome import Ack, Park, Postponed, Retry
from consumer.settle import Done

MAX_PAUSE_SECONDS = 30.0  # between two tries
FIRST_PAUSE_SECONDS = 1.0  # doubled by each failed try, and drawn with full jitter


class Breaker:
    """Of one consumer. I/O thread only."""

    def __init__(self, threshold: int | None) -> None:
        """Open after failures of `threshold` messages in a row; never for None."""
        self.error = ""  # of the last failure that counts; empty while the breaker is closed
        self.try_at = 0.0  # `time.monotonic()` of the next try, while the breaker is open
        self._threshold = threshold
        # Messages that failed since the last success, at most `threshold`. While it is empty no success is judged.
        self.failed: set[object] = set()
        self._tries = 0  # failed ones since it opened

    @property
    def open(self) -> bool:
        return bool(self.error)

    def judge(self, done: Iterable[Done], now: float) -> list[Done]:
        """`done` in order, with each failure of an outage as no attempt. `now` is `time.monotonic()`."""
        return [self._judged(each, now) for each in done]

    def _judged(self, done: Done, now: float) -> Done:
        delivery, outcome, seconds = done
        match outcome:
            case Ack():
                self.failed.clear()
                self.error, self._tries = "", 0
            case Retry(error=error, where=where, outage=True) | Park(error=error, where=where, outage=True):
                if self.open:
                    if now >= self.try_at:  # those that began before it opened are no tries
                        self._tries += 1
                        self._pause(now)
                    return delivery, Postponed(0.0, error, where, outcome.trace), seconds
                self._count(delivery.message.message_id or hash(delivery.message.body), error, now)
        return done

    def _count(self, message: object, error: str, now: float) -> None:
        if self._threshold is None:
            return
        self.failed.add(message)
        if len(self.failed) >= self._threshold:
            self.error = error
            self._pause(now)

    def _pause(self, now: float) -> None:
        self.try_at = now + full_jitter(self._tries, MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS)
