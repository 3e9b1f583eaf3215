"""Window: how many messages may be unconfirmed now. Pure."""

from common.backoff import full_jitter

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
