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
BYTES = 40 * 1024  # of bodies and properties; not all that is received at a time, so that with fewer no more is there
BUFFERED = 32 * 1024  # bytes that wait to be received
REST = 0.002  # seconds at most
LATE = 2.0  # seconds of age; a timestamp without milliseconds adds up to one, and so do clocks that differ
LATE_REST = 0.032  # seconds at most where those that come are late: there is a backlog, and latency is not what counts
IN_VAIN = 16  # rests in a row at whose end nothing came, which is no chance; then there are none
PAUSE = 16  # times as long as those took, until it is tried again
TRUSTED = 16  # rests that are not watched, since that costs, behind one at whose end more came


class Rest:
    """Takes place behind each hand-over, while the rate is high and what came is little, and while it pays.

    Where something other than time limits what comes, such as a window of TCP that has not grown, nothing comes at the
    end of a rest. Its length follows from the rate, which it lowers, so that such rests would only become longer: of
    45,000 a second 4,000 were left. So the first rests are watched; one that pays stands for those behind it.
    """

    def __init__(self, sleep: Callable[[float], None], buffered: Callable[[], int]) -> None:
        """Rest by `sleep` (seconds); `buffered` is how many bytes have come and were not received."""
        self._sleep, self._buffered = sleep, buffered
        self._since = self._rate = 0.0
        self._count = 0
        self._trusted = self._in_vain = 0  # rests
        self._spent = self._resume_at = 0.0

    def after(self, sizes: list[int], age: float | None, ahead: int, now: float) -> None:
        """Rest if it pays. Deliveries came, of these `sizes`, the last of this `age`; `ahead` may come."""
        self._count += len(sizes)
        passed = now - self._since
        if passed >= SPAN:
            self._rate = self._count / passed
            self._since, self._count = now, 0
        wanted = min(ENOUGH, ahead // PART) - len(sizes)
        if now < self._resume_at or self._rate < BUSY or wanted <= 0:
            return
        if sum(sizes) >= BYTES or self._buffered() >= BUFFERED:  # the next ones are there
            return
        seconds = min(LATE_REST if age is not None and age >= LATE else REST, wanted / self._rate)
        if self._trusted:
            self._trusted -= 1
            self._sleep(seconds)
        else:
            self._watch(seconds, now)

    def _watch(self, seconds: float, now: float) -> None:
        self._sleep(seconds * 0.75)
        before = self._buffered()
        self._sleep(seconds * 0.25)
        if self._buffered() > before:
            self._trusted, self._in_vain, self._spent = TRUSTED, 0, 0.0
            return
        self._in_vain, self._spent = self._in_vain + 1, self._spent + seconds
        if self._in_vain == IN_VAIN:
            self._resume_at = now + self._spent * PAUSE
            self._in_vain, self._spent = 0, 0.0
