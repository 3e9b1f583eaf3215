"""Flow: how many messages may be unconfirmed now, and how long a confirm may take. Pure."""

from common.amqp.backoff import full_jitter
from common.amqp.errors import BrokerError, Kind
from common.settings.types import format_duration

NACK_PAUSE_MAX_SECONDS = 5.0  # between tries while the queue is full
# After that long a new connection asks: RabbitMQ 3.10 does not tell an open channel that a policy raised the limit.
ONLY_NACKS_MAX_SECONDS = 180.0
NOT_CONFIRMED = BrokerError(Kind.OTHER, "no confirm in MQ_CONFIRM_TIMEOUT: what is unconfirmed is sent again")
STILL_FULL = BrokerError(
    Kind.OTHER,
    f"the queue has been full for {format_duration(ONLY_NACKS_MAX_SECONDS)}: it is asked anew on another connection",
)


class Window:
    """Slow start: on each channel one message goes first, and its confirm opens the whole window.

    A connection that is lost, blocked or refused at each use then duplicates one message a time and not a window.
    """

    def __init__(self, size: int) -> None:
        """Allow `size` unconfirmed messages when the window is open."""
        self.limit = 1  # unconfirmed messages allowed now
        self.reason = ""  # why the window is not open; read by the http thread
        self._size = size
        self._suspects = 0
        self._nacks = 0
        self._resume_at = 0.0

    def paused(self, now: float) -> bool:
        """Whether to send nothing now, because the queue was full a moment ago."""
        return now < self._resume_at

    def opened(self) -> None:
        self.limit = 1
        self._resume_at = 0.0

    def lost(self, suspects: int, reason: str = "") -> None:
        """Send the next `suspects` messages one by one: one of them may have closed the channel."""
        self._suspects = suspects
        self.reason = reason

    def confirmed(self, count: int, *, full: bool = False) -> None:
        """`full`: another queue still refuses what waits for it, and is asked more and more seldom."""
        self._suspects = max(0, self._suspects - count)
        if count and not self._suspects:
            self.limit = self._size
            if not full:
                self._nacks, self.reason = 0, ""

    def nacked(self, now: float) -> bool:
        """Pause: the queue is full. True for the first nack since a confirm."""
        self._resume_at = now + full_jitter(self._nacks, NACK_PAUSE_MAX_SECONDS)
        self._nacks += 1
        self.limit = 1
        self.reason = "the queue is full"
        return self._nacks == 1


class ConfirmWatchdog:
    """Waits for a slow broker that goes on; gives up a broker that leaves out a message or takes none."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._answered_at = self._alarm_at = 0.0  # of the last confirm or nack; of the last alarm
        self._nacks_since: float | None = None  # since when only nacks have come

    def confirmed(self, now: float) -> None:
        self._answered_at, self._nacks_since = now, None

    def nacked(self, now: float) -> None:
        self._answered_at = now
        self._nacks_since = now if self._nacks_since is None else self._nacks_since

    def lost(self) -> None:
        """Forget the nacks: another channel is asked in any case."""
        self._nacks_since = None

    def verdict(self, now: float, sent_at: float | None, *, overtaken: bool, alarm: bool) -> BrokerError | None:
        """Why to give the connection up; None to go on. `sent_at`: when the oldest unconfirmed message was sent.

        `overtaken`: later messages are confirmed. `alarm`: the broker reads nothing now; the wait begins anew after it.
        """
        if self._nacks_since is not None and now - self._nacks_since > ONLY_NACKS_MAX_SECONDS:
            self._nacks_since = None
            return STILL_FULL
        if alarm:
            self._alarm_at = now
        if sent_at is None or now - max(sent_at, self._alarm_at) <= self._timeout_seconds:
            return None
        return NOT_CONFIRMED if overtaken or now - self._answered_at > self._timeout_seconds else None
