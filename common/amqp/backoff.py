"""Backoff: how long to wait before the next try, and which broker to try. Pure."""

import random


def full_jitter(attempt: int, cap: float, base: float = 0.2) -> float:
    """Seconds to wait before retry number `attempt` (0 is the first): between 0 and `base` doubled `attempt` times.

    Full jitter keeps the many clients of one restarted broker from coming back in step
    (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    return random.uniform(0, min(cap, base * 2 ** min(attempt, 32)))


class Backoff:
    """Tries all brokers of MQ_URL in turn without a pause, and pauses longer after each such round."""

    def __init__(self, cap: float) -> None:
        self._cap = cap
        self._tries = 0
        self._rounds = 0

    def which(self, brokers: int) -> int:
        return self._tries % brokers

    def failed(self, brokers: int) -> float:
        """Count a failed try; the seconds until the next try."""
        self._tries += 1
        return self._next_round() if self._tries % brokers == 0 else 0.0

    def lost(self, after: float) -> float:
        """Count a connection lost `after` seconds in the open state; the seconds until the next broker is tried.

        The next broker, because a node that was cut off from its cluster may accept connections and confirm nothing.
        Only a connection that outlives the cap resets the pause: one that fails at its first use must back off as well.
        """
        self._tries += 1
        if after > self._cap:
            self._rounds = 0
        return self._next_round()

    def _next_round(self) -> float:
        self._rounds += 1
        return full_jitter(self._rounds - 1, self._cap)
