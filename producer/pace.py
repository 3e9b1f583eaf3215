"""Pace: when the next message is due. Pure."""


class Pace:
    """A steady rate that does not hurry after a stop: at most one second's worth is caught up."""

    def __init__(self, rate: float | None) -> None:
        """`rate` is in messages a second; None is as fast as it goes."""
        self._interval = 1 / rate if rate else 0.0
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next message may go, which counts as gone then."""
        if not self._interval:
            return 0.0
        self._due = max(self._due + self._interval, now - 1.0) if self._due else now
        return max(0.0, self._due - now)
