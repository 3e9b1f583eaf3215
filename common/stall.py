"""Stall: whether a connection is still worth waiting for, by the confirms that come. Pure."""


class Stall:
    """A slow broker is waited for as long as it goes on; one that leaves out a message is not."""

    def __init__(self, timeout: float) -> None:
        """Seconds."""
        self._timeout = timeout
        self._moved_at = self._free_at = 0.0

    def moved(self, now: float) -> None:
        """A confirm came."""
        self._moved_at = now

    def over(self, now: float, sent_at: float | None, *, overtaken: bool, alarm: bool) -> bool:
        """Whether the oldest unconfirmed message, sent at `sent_at` (None: there is none), has waited too long.

        `overtaken`: later ones are confirmed. `alarm`: the broker reads nothing now, and the time begins anew after it.
        """
        if alarm:
            self._free_at = self._moved_at = now
        if sent_at is None or now - max(sent_at, self._free_at) <= self._timeout:
            return False
        return overtaken or now - self._moved_at > self._timeout
