"""How long to wait before the next try, and with which broker to make it. Pure."""

import random


def full_jitter(attempt: int, cap: float, base: float = 0.2) -> float:
    """Seconds to wait before retry number `attempt` (0 is the first): anything from 0 to `base` doubled each time.

    Full jitter, so that many clients of one restarted broker do not come back in step
    (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    return random.uniform(0, min(cap, base * 2 ** min(attempt, 32)))


class Backoff:
    """Tries several brokers in turn: the others at once, then all of them again after a delay that grows."""

    def __init__(self, cap: float) -> None:
        """Never wait longer than `cap` seconds."""
        self._cap = cap
        self._tries = 0
        self._rounds = 0

    def which(self, brokers: int) -> int:
        """The index of the broker to try now."""
        return self._tries % brokers

    def failed(self, brokers: int) -> float:
        """A try came to nothing; seconds until the next."""
        self._tries += 1
        return self._next_round() if self._tries % brokers == 0 else 0.0

    def lost(self, after: float) -> float:
        """An open connection was lost `after` seconds; seconds until the next try, with the next broker.

        A node that was cut off from its cluster may accept connections and confirm nothing. Only staying open resets
        the delay: what is refused at its first use must back off as well.
        """
        self._tries += 1
        if after > self._cap:
            self._rounds = 0
        return self._next_round()

    def _next_round(self) -> float:
        self._rounds += 1
        return full_jitter(self._rounds - 1, self._cap)
