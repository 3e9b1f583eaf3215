"""Rest: how long the I/O thread waits, so that more deliveries come at a time. Pure.

A few at a time cost more than their handling: a wake-up of the I/O thread and one of a handler thread each, and caches
that others have used since. A consumer alone at its queue gets hundreds at a time; where several share one, each is
woken for a few, and the wake-ups take the cores from the broker, which then has still fewer at a time: without rests,
eight on two cores handle half of what one does, and two hardly more than one.
"""

from collections.abc import Callable

BUSY = 2000  # deliveries a second; at fewer, each is handed on at once
SPAN = 0.05  # seconds over which they are counted
ENOUGH = 192  # deliveries at a time, whose wake-ups are a small part of their cost
PART = 8  # of what may be sent ahead, and no more, so that nothing waits for us meanwhile
BYTES = 32 * 1024  # half of what is received at a time, so that with fewer no more is there
REST = 0.002  # seconds at most
LATE = 2.0  # seconds of age; a timestamp without milliseconds adds up to one, and so do clocks that differ
LATE_REST = 0.032  # seconds at most where those that come are late: there is a backlog, and latency is not what counts


class Rest:
    """Asked behind each hand-over. It knows the rate, and rests while that is high, and little came and waits.

    A few that come while many wait are all that a window of TCP lets through which has not grown. Nothing comes behind
    them before these are read: a rest would only lower the rate, from which the next one follows, down to a fifth.
    """

    def __init__(self) -> None:
        self._since = self._rate = 0.0
        self._count = 0

    def after(self, sizes: list[int], age: float | None, ahead: int, buffered: Callable[[], int], now: float) -> float:
        """Seconds to rest; 0 is none.

        Deliveries came with bodies of these `sizes`, the last of them of this `age`, where `ahead` may be sent;
        so many bytes are `buffered` behind them.
        """
        self._count += len(sizes)
        passed = now - self._since
        if passed >= SPAN:
            self._rate = self._count / passed
            self._since, self._count = now, 0
        wanted = min(ENOUGH, ahead // PART) - len(sizes)
        if self._rate < BUSY or wanted <= 0 or sum(sizes) >= BYTES or buffered() >= BYTES:
            return 0.0
        return min(LATE_REST if age is not None and age >= LATE else REST, wanted / self._rate)
