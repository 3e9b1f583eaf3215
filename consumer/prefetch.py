"""Prefetch: how many deliveries the broker may send ahead. Pure."""

from consumer.delivery import SUSPECT

SOON = 5.0  # seconds in which each handler settles one, so that SHORT are settled long before the broker's time-out
SHORT = 64  # enough where the handlers settle fewer within BRIEF
BRIEF = 1.0  # seconds
BYTES = 48 * 1024 * 1024  # of bodies and properties, by the mean of those that came last
HELD = 64 * 1024 * 1024  # of those that came and are not settled, whatever the mean was
LONG = 30.0  # seconds; handlers that settle fewer than SHORT in it are not quick any more
FEW = 3  # and of those that settle fewer than this, SHORT would take over ten minutes
WARY = 60.0  # seconds; what a narrowing sends back counts as a delivery on some brokers, so it must be rare


class Prefetch:
    """A long prefetch must be earned: on each channel one delivery, one for each handler, SHORT, all; each is a step.

    What is sent ahead to one consumer is kept from the others, fills its memory, and has to be settled within the
    broker's `consumer_timeout` (30 minutes); only quick handlers and small messages need or allow much of it. So it is
    lost again by handlers that became slow and by messages that became large.
    """

    def __init__(self, most: int, handlers: int = 1) -> None:
        """Never more than `most`; so many `handlers` work at a time."""
        self._most, self._each, self._short = most, min(most, handlers), min(most, SHORT)
        self._since = self._wary_until = 0.0
        self._watched_since = 0.0  # handlers that had enough to do; 0 while they had not
        self._finished = 0  # by them, since then
        self.opened()

    def opened(self) -> None:
        """A new channel, on which the broker may send one."""
        self.count = 1
        self._trusted = False
        self._again()

    def delivered(self, losses: int, size: int) -> int:
        """A delivery came alone that was lost so often before, of `size` bytes: how many more may come."""
        self._trusted = losses < SUSPECT
        return self._step(max(1, min(self._each, BYTES // max(1, size)))) if self._trusted else 0

    @property
    def told(self) -> bool:
        """Whether it is to be told of what arrives and is settled."""
        return self.count < self._most

    @property
    def half(self) -> int:
        """So many may be kept from the broker and the next ones still come in time."""
        return max(1, self.count // 2)

    def arrived(self, sizes: list[int], now: float) -> None:
        """Deliveries of these sizes came."""
        self._since = self._since or now
        self._arrived += len(sizes)
        self._bytes += sum(sizes)

    def handled(self, well: int, failed: int, now: float) -> int:
        """So many handlers ended: how many more may come."""
        self._finished += well + failed
        if self.count < self._short:
            return self._earned(well + failed, now, self._each, SOON, self._short)
        if self.count < self._most and now >= self._wary_until:
            return self._earned(well, now, SHORT, BRIEF, self._most)
        return 0

    def too_large(self, held: int) -> bool:
        """Whether `held` bytes are more than may be sent ahead; a single one may be of any size."""
        return self.count > 1 and held > HELD

    def too_slow(self, waiting: int, now: float) -> bool:
        """So many wait for a handler: whether too few were handled lately for so many to be sent ahead. Ask often."""
        few, least = (SHORT, SHORT) if self.count > self._short else (FEW, 1)
        if self.count <= self._each or waiting < least:  # or there was too little to do
            self._watched_since = 0.0
            return False
        passed = now - self._watched_since
        if self._watched_since and passed <= LONG:
            return False
        slow = bool(self._watched_since) and self._finished * LONG < few * passed
        self._watched_since, self._finished = now, 0
        return slow

    def narrowed(self, now: float) -> None:
        """Nothing is sent ahead any more: begin anew, and do not widen to all soon."""
        self._wary_until = now + WARY
        self.opened()

    def has_room(self, held: int) -> bool:
        """Whether one more may come after a narrowing that left `held` bytes."""
        return held <= HELD // 2

    def _earned(self, count: int, now: float, enough: int, within: float, wanted: int) -> int:
        self._done += count
        if self._done < enough:
            return 0
        quick, small = now - self._since <= within, self._bytes * wanted <= BYTES * self._arrived
        self._again()
        return self._step(wanted) if self._trusted and quick and small else 0

    def _step(self, count: int) -> int:
        more, self.count = count - self.count, count
        return more

    def _again(self) -> None:
        self._arrived = self._bytes = self._done = 0
        self._since = 0.0
