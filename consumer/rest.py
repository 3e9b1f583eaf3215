"""Rest: how long the I/O thread waits, so that more deliveries come at a time. Pure.

A few at a time cost more than their handling: a wake-up of the I/O thread and one of a handler thread each, and caches
that others have used since. A consumer alone at its queue gets hundreds at a time; where several share one, each is
woken for a few, and the wake-ups take the cores from the broker, which then has still fewer at a time: without rests,
eight on two cores handle half of what one does, and two hardly more than one.
"""

BUSY = 2000  # deliveries a second; at fewer, each is handed on at once
SPAN = 0.05  # seconds over which they are counted
ENOUGH = 192  # deliveries at a time, whose wake-ups are a small part of their cost
PART = 8  # of what may be sent ahead, and no more, so that nothing waits for us meanwhile
BYTES = 32 * 1024  # of bodies; half of what is received at a time, so that with fewer no more is there
REST = 0.002  # seconds at most
LATE = 2.0  # seconds of age; a timestamp without milliseconds adds up to one, and so do clocks that differ
LATE_REST = 0.032  # seconds at most where those that come are late: there is a backlog, and latency is not what counts
ROW = 8  # rests after which one is left out, to see what it brings
GAIN = 1.1  # times as many must come at a time with rests as without
IN_VAIN = 1.0  # seconds without rests after they twice brought less


class Rest:
    """Asked behind each hand-over. It knows the rate, and rests while that is high, what came is little, and it pays.

    A rest does not bring more where something other than time limits what comes: a window of TCP that has not grown,
    say, lets the same few come behind each. Its length follows from the rate, which it lowers, so it would only become
    longer: such consumers handled a third.
    """

    def __init__(self) -> None:
        self._since = self._rate = 0.0
        self._count = 0
        self._row = self._brought = 0  # rests without a pause, and what came behind them
        self._in_vain = False
        self._resume_at = 0.0

    def after(self, sizes: list[int], age: float | None, ahead: int, now: float) -> float:
        """Seconds to rest; 0 is none.

        Deliveries came with bodies of these `sizes`, the last of them of this `age`, where `ahead` may be sent.
        """
        self._measure(len(sizes), now)
        self._compare(len(sizes), now)
        wanted = min(ENOUGH, ahead // PART) - len(sizes)
        if now < self._resume_at or self._rate < BUSY or wanted <= 0 or sum(sizes) >= BYTES:
            self._row = self._brought = 0
            return 0.0
        self._row += 1
        if self._row > ROW:
            return 0.0
        return min(LATE_REST if age is not None and age >= LATE else REST, wanted / self._rate)

    def _measure(self, count: int, now: float) -> None:
        self._count += count
        passed = now - self._since
        if passed >= SPAN:
            self._rate = self._count / passed
            self._since, self._count = now, 0

    def _compare(self, count: int, now: float) -> None:
        if self._row > ROW:  # nothing was waited for
            in_vain = count * GAIN * ROW > self._brought
            if in_vain and self._in_vain:  # once is chance
                self._resume_at = now + IN_VAIN
            self._in_vain = in_vain
            self._row = self._brought = 0
        elif self._row:
            self._brought += count
