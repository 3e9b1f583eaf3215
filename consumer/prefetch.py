"""Prefetch: how many deliveries the broker may send ahead. Pure."""

# A message that kills its process takes all that were sent ahead with it, and each loss counts against the limit.
# So after several losses they come one by one, until one comes that was not lost so often.
SUSPECT = 3
SHORT = 64  # enough for a handler that takes long, and what a handler that is quick settles within BRIEF
BRIEF = 1.0  # seconds
BYTES = 32 * 1024 * 1024  # of bodies, by the mean of those that came last
HELD = 64 * 1024 * 1024  # of bodies that came and are not settled, whatever the mean was
LONG = 30.0  # seconds; handlers that settle fewer than SHORT in it are not quick any more
WARY = 60.0  # seconds; what a narrowing sends back counts as a delivery on some brokers, so it must be rare


class Prefetch:
    """A long prefetch must be earned: on each channel one delivery, then SHORT, then all, each returned as a step.

    What is sent ahead to one consumer is kept from the others, fills its memory, and has to be settled within the
    broker's `consumer_timeout` (30 minutes); only quick handlers and small bodies need or allow much of it. So it is
    lost again by handlers that became slow and by bodies that became large.
    """

    def __init__(self, most: int) -> None:
        """Never more than `most`."""
        self._most = most
        self._settled = 0
        self._since = 0.0
        self._wary_until = 0.0
        self.opened()

    def opened(self) -> None:
        """A new channel, on which the broker may send one."""
        self.count = 1
        self._again()

    def delivered(self, losses: int, size: int) -> int:
        """A delivery came that was lost so often before, of `size` bytes: how many more may come."""
        wanted = min(self._most, SHORT)
        return self._step(wanted) if self.count == 1 and losses < SUSPECT and size * wanted <= BYTES else 0

    @property
    def short(self) -> bool:
        """Whether it is to be told of what arrives and is settled."""
        return 1 < self.count < self._most

    @property
    def half(self) -> int:
        """So many may be kept from the broker and the next ones still come in time."""
        return max(1, self.count // 2)

    def arrived(self, sizes: list[int], now: float) -> None:
        """Deliveries with bodies of these sizes came."""
        self._since = self._since or now
        self._arrived += len(sizes)
        self._bytes += sum(sizes)

    def settled(self, count: int, now: float) -> int:
        """So many are settled: how many more may come."""
        self._settled += count
        if self._settled < SHORT:
            return 0
        quick, small = now - self._since <= BRIEF, self._bytes * self._most <= BYTES * self._arrived
        self._again()
        return self._step(self._most) if quick and small and now >= self._wary_until else 0

    def too_large(self, held: int) -> bool:
        """Whether bodies of `held` bytes are more than may be sent ahead; a single one may be of any size."""
        return self.count > 1 and held > HELD

    def too_slow(self, count: int, held: int, now: float) -> bool:
        """So many are settled and `held` are not: whether that took too long for so many to be sent ahead."""
        if self.count <= SHORT or held < SHORT:  # or there was too little to do
            self._again()
            return False
        self._settled += count
        if not self._since or self._settled >= SHORT:
            self._since, self._settled = now, 0
        return now - self._since > LONG

    def narrowed(self, now: float) -> None:
        """Nothing is sent ahead any more: begin anew, and do not widen to all soon."""
        self._wary_until = now + WARY
        self.opened()

    def has_room(self, held: int) -> bool:
        """Whether one more may come after a narrowing that left bodies of `held` bytes."""
        return held <= HELD // 2

    def _step(self, count: int) -> int:
        more, self.count = count - self.count, count
        return more

    def _again(self) -> None:
        self._arrived = self._bytes = self._settled = 0
        self._since = 0.0
