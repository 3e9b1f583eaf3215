"""Window: how many messages may be unconfirmed now. Pure."""

from common.amqp.backoff import full_jitter
from common.amqp.errors import BrokerError, Kind
from common.settings.types import format_duration

PAUSE_MAX = 5.0  # seconds between tries while the broker refuses


class Window:
    """A window must be earned: on each connection one message goes first, and its confirm opens the whole.

    So a connection that is lost, blocked or refused at each use adds one duplicate a time and not a window of them.
    """

    def __init__(self, size: int) -> None:
        """At most `size` messages, once it is open."""
        self.size = size
        self.limit = 1
        self.reason = ""  # why it is not open; read by the http thread
        self._suspects = 0
        self._nacks = 0
        self._resume_at = 0.0

    def paused(self, now: float) -> bool:
        """Whether the broker refused a moment ago and nothing goes now."""
        return now < self._resume_at

    def opened(self) -> None:
        """A new channel."""
        self.limit = 1
        self._resume_at = 0.0

    def lost(self, suspects: int, reason: str = "") -> None:
        """A channel is gone; one of the first `suspects` messages may be why, so they go one by one."""
        self._suspects = suspects
        self.reason = reason

    def confirmed(self, count: int) -> None:
        """The broker took `count` messages."""
        self._suspects = max(0, self._suspects - count)
        if count and not self._suspects:
            self.limit, self._nacks, self.reason = self.size, 0, ""

    def nacked(self, now: float) -> bool:
        """The broker refused, since the queue is full: pause. Whether that is news."""
        news = self._nacks == 0
        self._resume_at = now + full_jitter(self._nacks, PAUSE_MAX)
        self._nacks += 1
        self.limit = 1
        self.reason = "the queue is full"
        return news


UNCONFIRMED = BrokerError(Kind.OTHER, "no confirm in MQ_CONFIRM_TIMEOUT: what is unconfirmed is sent again")
# RabbitMQ 3.10 does not tell a channel that a queue is full no more when its limit was raised by a policy.
FULL = 180.0  # seconds of refusals only, after which another channel is asked
REFUSED = BrokerError(
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

    def reason(self, now: float, sent_at: float | None, *, overtaken: bool, alarm: bool) -> BrokerError | None:
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
