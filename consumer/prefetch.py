"""Prefetch: how many deliveries the broker may send ahead. Pure."""

from consumer.delivery import SUSPECT

# Slow start: 1, then one for each handler, then SHORT_PREFETCH, then all; a step up when the last was handled well.
SHORT_PREFETCH = 64  # deliveries; enough where the handlers settle fewer in LAST_STEP_WITHIN
FIRST_STEP_WITHIN = 5.0  # seconds in which each handler settles one: SHORT_PREFETCH end before consumer_timeout then
LAST_STEP_WITHIN = 1.0  # seconds in which the handlers settle SHORT_PREFETCH
MAX_AHEAD_BYTES = 48 * 1024 * 1024  # of bodies and properties, by the mean of those that came last
WATCH_SECONDS = 30.0  # handlers that settle fewer than SHORT_PREFETCH in it are not quick any more
MIN_HANDLED = 3  # of those that settle fewer in WATCH_SECONDS, SHORT_PREFETCH would take over ten minutes
CAUTION_SECONDS = 5.0  # with what was lost before, after a start
REOPEN_AFTER_SECONDS = 60.0  # what a narrowing requeues counts as a delivery on some brokers, so it must be rare


class Prefetch:
    """A long prefetch must be earned, step by step, on each channel anew.

    What is sent ahead to one consumer is kept from the others, fills its memory, and has to be settled within the
    broker's `consumer_timeout` (30 minutes); only quick handlers and small messages need or allow much of it. So it is
    lost again by handlers that became slow and by messages that became large.
    """

    def __init__(self, most: int, handlers: int = 1) -> None:
        """Never more than `most`; so many `handlers` work at a time."""
        self._most, self._each, self._short = most, min(most, handlers), min(most, SHORT_PREFETCH)
        self._since = self._reopen_at = 0.0
        self._watched_since = 0.0  # handlers that had enough to do; 0 while they had not
        self._single = 0  # deliveries that one consumer gets at once; 0: there are several
        self.finished = 0  # handlers that ended, since then; counted by the subscription
        self.opened()

    def opened(self) -> None:
        """Begin with 1 on a new channel; with all where a single consumer has to get them at once."""
        self.count = self._single or 1
        self.growing = self._most > 1 and not self._single  # while it is, `arrived` and `handled` must be called
        self._trusted = False
        self._began = 0.0  # when the first came since then
        self._start_step()

    def single(self, *, known: bool = True) -> None:
        """From the next opening on, have one consumer get all, since a further one would get nothing; or begin anew."""
        self._single, self.count, self._trusted = self._most if known else 0, 1, False

    def delivered(self, losses: int, size: int) -> int:
        """A delivery of `size` bytes came alone that was lost `losses` times before: how many more may come."""
        self._trusted = losses < SUSPECT
        return self._step(max(1, min(self._each, MAX_AHEAD_BYTES // max(1, size)))) if self._trusted else 0

    def arrived(self, sizes: list[int], now: float, lost: int = 0) -> None:
        """Deliveries of these sizes in bytes came, `lost` of them lost before, by the broker's count.

        While such come, no more is sent ahead than handlers begin with: what is lost with the process once more would
        be counted against the delivery limit of messages that nobody ever began with, and a policy may set a low one.
        Whoever lives for CAUTION_SECONDS is not being killed by them, and may be quick again.
        """
        self._began = self._began or now
        self._since = self._since or now
        self._lost += lost * (now - self._began < CAUTION_SECONDS)
        self._arrived += len(sizes)
        self._bytes += sum(sizes)

    def handled(self, well: int, failed: int, now: float) -> int:
        """So many handlers ended: how many more deliveries may come."""
        if self.count < self._short:
            return self._earned(well + failed, now, self._each, FIRST_STEP_WITHIN, self._short)
        if now >= self._reopen_at:
            return self._earned(well, now, SHORT_PREFETCH, LAST_STEP_WITHIN, self._most)
        return 0

    def too_slow(self, waiting: int, now: float) -> bool:
        """True if too few were handled lately for as many as wait for a handler. Ask often."""
        few, least = (SHORT_PREFETCH, SHORT_PREFETCH) if self.count > self._short else (MIN_HANDLED, 1)
        if self.count <= self._each or waiting < least:  # or there was too little to do
            self._watched_since = 0.0
            return False
        passed = now - self._watched_since
        if self._watched_since and passed <= WATCH_SECONDS:
            return False
        slow = bool(self._watched_since) and self.finished * WATCH_SECONDS < few * passed
        self._watched_since, self.finished = now, 0
        return slow

    def narrowed(self, now: float) -> None:
        """Begin with 1 again, and do not widen to all soon; a single consumer gets no more than handlers begin with."""
        if self._single and self.count > 1:
            self._single = self._each
        self._reopen_at = now + REOPEN_AFTER_SECONDS
        self.opened()

    def _earned(self, count: int, now: float, enough: int, within: float, wanted: int) -> int:
        self._done += count
        if self._done < enough:
            return 0
        quick, small = now - self._since <= within, self._bytes * wanted <= MAX_AHEAD_BYTES * self._arrived
        first = not self._lost
        self._start_step()
        return self._step(wanted) if self._trusted and first and quick and small else 0

    def _step(self, count: int) -> int:
        more, self.count = count - self.count, count
        self.growing = count < self._most
        return more

    def _start_step(self) -> None:
        self._arrived = self._bytes = self._done = self._lost = 0
        self._since = 0.0
