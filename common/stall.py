"""Stall: why a connection is not worth waiting for any more, by the confirms that come. Pure."""

from common.duration import format_duration
from common.refusal import Kind, Refusal

UNCONFIRMED = Refusal(Kind.OTHER, "no confirm in MQ_CONFIRM_TIMEOUT: what is unconfirmed is sent again")
# RabbitMQ 3.10 does not tell a channel that a queue is full no more when its limit was raised by a policy.
FULL = 180.0  # seconds of refusals only, after which another channel is asked
REFUSED = Refusal(
    Kind.OTHER, f"the queue has been full for {format_duration(FULL)}: it is asked anew on another connection"
)


class Stall:
    """A slow broker is waited for as long as it goes on; one that leaves out a message, or takes none, is not."""

    def __init__(self, timeout: float) -> None:
        """Seconds."""
        self._timeout = timeout
        self._moved_at = self._free_at = 0.0
        self._refused_at: float | None = None  # since when there are refusals only

    def moved(self, now: float, *, refused: bool) -> None:
        """A confirm came, or a refusal."""
        self._moved_at = now
        self._refused_at = (self._refused_at or now) if refused else None

    def lost(self) -> None:
        """Another channel is asked in any case."""
        self._refused_at = None

    def reason(self, now: float, sent_at: float | None, *, overtaken: bool, alarm: bool) -> Refusal | None:
        """Why to give it up, if so. The oldest unconfirmed message was sent at `sent_at`; None: there is none.

        `overtaken`: later ones are confirmed. `alarm`: the broker reads nothing now, and the time begins anew after it.
        """
        if self._refused_at and now - self._refused_at > FULL:
            self._refused_at = None
            return REFUSED
        if alarm:
            self._free_at = self._moved_at = now
        if sent_at is None or now - max(sent_at, self._free_at) <= self._timeout:
            return None
        return UNCONFIRMED if overtaken or now - self._moved_at > self._timeout else None
