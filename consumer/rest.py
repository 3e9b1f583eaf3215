"""Rest: how long the I/O thread waits, so that more deliveries come at a time. Pure.

One by one they cost more than their handling: a wake-up of the I/O thread and one of a handler thread each. A consumer
alone at its queue gets hundreds at a time; where several share one, each is woken for a few, and the wake-ups take the
cores from the broker, which then has still fewer at a time: without rests, eight on two cores handle half of what one
does, and two hardly more than one.
"""

BUSY = 2000  # deliveries a second; at fewer, each is handed on at once
SPAN = 0.02  # seconds over which they are counted
REST = 0.002  # seconds
# What is little: less than this part of what may be sent ahead, so that nothing waits for us meanwhile, and fewer bytes
# than half of what one `recv` takes (64 KiB, with TLS a record of 16 KiB), so that no more of them are there.
PART = 32
BYTES = 8 * 1024


class Rest:
    """Asked behind each hand-over. It knows the rate, and rests while that is high and what came is little."""

    def __init__(self) -> None:
        self._since = 0.0
        self._count = 0
        self._busy = False

    def after(self, sizes: list[int], ahead: int, now: float) -> float:
        """Seconds to rest, after deliveries came with bodies of these sizes where `ahead` may be sent; 0 is none."""
        self._count += len(sizes)
        passed = now - self._since
        if passed >= SPAN:
            self._busy = self._count >= BUSY * passed
            self._since, self._count = now, 0
        return REST if self._busy and len(sizes) < ahead // PART and sum(sizes) < BYTES else 0.0
