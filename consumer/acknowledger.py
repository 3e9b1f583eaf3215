"""Acknowledger: tells the broker what is settled, of many deliveries at a time, and what goes back. I/O thread only."""

import time
from collections.abc import Callable

from pika.channel import Channel

from common.process import Process
from consumer.acks import Unsettled

# An acknowledgement costs the broker about as much as a message, and one with `multiple` no more than another.
AT_ONCE = 64  # deliveries; with 128 a consumer handled 2 to 8 % fewer, since they come back later
DELAY = 0.005  # seconds between acknowledgements of fewer
# Fewer than one in so many seconds are acknowledged at once. Later it would meet the next publish in the broker's log,
# which waits for it: a tenth of all at 500 a second were up to half a millisecond later.
SELDOM = 0.001

# An acknowledgement that comes just before its channel closes can be lost with it: the broker's channel keeps it while
# the queue is behind. Of 67 stops under load several had duplicates, hundreds at a time; with this, of 64 none.
LINGER = 0.3  # seconds


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
