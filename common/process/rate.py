"""RateLimiter: at most so many messages a second, and what is read ahead of that."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sized
from threading import Event, Lock
from typing import Annotated, TypeVar

from pydantic import Field

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Messages a second, as a setting."""
T = TypeVar("T")
PAUSE_SECONDS = 0.1  # in which a stop is noticed
CATCH_UP_SECONDS = 0.05  # of CONSUMER_RATE: what threads that wake late lose, and 5 % of a second at most


class RateLimiter:
    """A steady rate that does not hurry after a stop: at most `catch_up` seconds' worth is caught up."""

    def __init__(self, rate: float, catch_up: float = 1.0) -> None:
        self._interval, self._catch_up = 1 / rate, catch_up
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next message may go, which counts as gone then."""
        self._due = max(self._due + self._interval, now - self._catch_up) if self._due else now
        return max(0.0, self._due - now)

    def pauses(self, pending: Sized) -> Iterator[float]:
        """Short pauses until the next of `pending` may go; none any more once all of them are taken back."""
        if not pending:
            return
        due = (now := time.monotonic()) + self.wait(now)
        while pending and (left := due - time.monotonic()) > 0:
            yield min(left, PAUSE_SECONDS)


def ahead(rate: float | None, most: int, least: int = 1) -> int:
    """How many messages to read ahead: a second's worth, from `least` to `most`; without a rate, `most`.

    More would end an outage, or a pause of the source, in a burst; and what a consumer holds, no other one gets.
    """
    return max(min(most, least), min(most, round(rate))) if rate else most


def paced(pending: deque[T], rate: float) -> Callable[[], T]:
    """`pending.popleft` for several threads, `rate` times a second by all together.

    What waits for its time stays in `pending`, so that a stop takes it back at once. Raises IndexError.
    """
    limiter, turn, idle = RateLimiter(rate, CATCH_UP_SECONDS), Lock(), Event()

    def popleft() -> T:
        with turn:
            for seconds in limiter.pauses(pending):
                idle.wait(seconds)
            return pending.popleft()

    return popleft
