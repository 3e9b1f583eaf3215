"""RateLimiter: at most so many messages a second. Pure."""

from typing import Annotated

from pydantic import Field

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Messages a second, as a setting."""


class RateLimiter:
    """A steady rate that does not hurry after a stop: at most `catch_up` seconds' worth is caught up."""

    def __init__(self, rate: float, catch_up: float = 1.0) -> None:
        self._interval, self._catch_up = 1 / rate, catch_up
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next message may go, which counts as gone then."""
        self._due = max(self._due + self._interval, now - self._catch_up) if self._due else now
        return max(0.0, self._due - now)


def ahead(rate: float | None, most: int, least: int = 1) -> int:
    """How many messages to read ahead: a second's worth, from `least` to `most`; without a rate, `most`.

    More would end an outage, or a pause of the source, in a burst; and what a consumer holds, no other one gets.
    """
    return max(min(most, least), min(most, round(rate))) if rate else most
