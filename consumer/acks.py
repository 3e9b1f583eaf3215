"""Acks: which delivery tags are settled, told to the broker in as few frames as are true. Pure."""

import math
import time
from collections.abc import Callable, Sequence

from pika.channel import Channel

from common.process.run import Process

# An acknowledgement costs the broker about as much as a message, and one with `multiple` no more than another.
AT_ONCE = 64  # deliveries; with 128 a consumer handled 2 to 8 % fewer, since they come back later
DELAY = 0.005  # seconds between acknowledgements of fewer
# Fewer than one in so many seconds are acknowledged at once. Later it would meet the next publish in the broker's log,
# which waits for it: a tenth of all at 500 a second were up to half a millisecond later.
SELDOM = 0.001

# An acknowledgement that comes just before its channel closes can be lost with it: the broker's channel keeps it while
# the queue is behind. Of 67 stops under load several had duplicates, hundreds at a time; with this, of 64 none.
LINGER = 0.3  # seconds


class Unsettled:
    """The delivery tags of one channel that are not settled, and those of which the broker is still to be told."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}  # by tag, in the order of the tags
        self.size = 0  # in bytes, of all that they keep
        self._untold: list[int] = []

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def untold(self) -> int:
        """How many are settled and the broker does not know."""
        return len(self._untold)

    def clear(self) -> None:
        """A new channel: its tags begin at 1."""
        self._sizes.clear()
        self._untold.clear()
        self.size = 0

    def delivered(self, tags: Sequence[int], sizes: Sequence[int]) -> None:
        """Deliveries came, of these sizes in bytes. Tags count up on a channel."""
        self._sizes.update(zip(tags, sizes, strict=True))
        self.size += sum(sizes)

    def rejected(self, tag: int) -> None:
        """The broker was told otherwise of this one."""
        self.size -= self._sizes.pop(tag, 0)

    def settle(self, tags: list[int]) -> int:
        """Settle `tags`; how many are to be acknowledged now."""
        pop = self._sizes.pop
        self.size -= sum([pop(tag, 0) for tag in tags])
        self._untold += tags
        return len(self._untold)

    def acknowledge(self) -> tuple[int, list[int]]:
        """One tag to acknowledge with `multiple` (0: none), and those to acknowledge each by itself.

        `multiple` acknowledges all that is older, so it goes only up to the oldest that is not settled.
        """
        untold, self._untold = self._untold, []
        oldest = next(iter(self._sizes), math.inf)
        return max((tag for tag in untold if tag < oldest), default=0), [tag for tag in untold if tag > oldest]


class Acknowledger:
    """For one channel at a time, the one that `channel` returns; None while there is none."""

    def __init__(self, process: Process, channel: Callable[[], Channel | None]) -> None:
        self.unsettled = Unsettled()
        self._process, self._channel = process, channel
        self._told_at = 0.0
        self._due = False  # a time is set for the next
        self._held = False

    def settle(self, tags: list[int], most: int) -> None:
        """The broker hears of it soon; at once if `most` or more have been kept from it."""
        untold = self.unsettled.settle(tags)
        if untold >= min(AT_ONCE, most) or time.monotonic() - self._told_at >= min(DELAY, untold * SELDOM):
            self.tell()
        elif not self._due:
            self._due = True
            self._process.call_later(DELAY, self._on_due)

    def tell(self) -> None:
        """Acknowledge all that is settled."""
        channel = self._channel()
        if channel and not self._held:
            self._told_at = time.monotonic()
            multiple, singles = self.unsettled.acknowledge()
            if multiple:
                channel.basic_ack(multiple, multiple=True)
            for tag in singles:
                channel.basic_ack(tag)

    def told(self) -> bool:
        """Whether the broker had time for all that is settled; it is told of the rest."""
        if self.unsettled.untold:
            self.tell()
        return time.monotonic() - self._told_at >= LINGER

    def give_back(self, tag: int, *, counted: bool) -> None:
        """Requeue this one."""
        if channel := self._channel():
            self.unsettled.rejected(tag)
            requeue = channel.basic_reject if counted else channel.basic_nack
            requeue(tag, requeue=True)

    def give_back_all(self) -> None:
        """Requeue all that is not settled."""
        if channel := self._channel():
            self.tell()
            self.unsettled.clear()
            channel.basic_nack(0, multiple=True, requeue=True)

    def hold(self) -> None:
        """Acknowledge nothing until `release`."""
        self._held = True

    def release(self) -> None:
        """Go on, with all that was held."""
        self._held = False
        self.tell()

    def clear(self) -> None:
        """The channel is gone, and with it all that was not told."""
        self._held = False
        self.unsettled.clear()

    def _on_due(self) -> None:
        self._due = False
        self.tell()
