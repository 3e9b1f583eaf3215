"""Acks: the unsettled deliveries of a channel, acknowledged in as few frames as are true. I/O thread only."""

import math
import time
from collections.abc import Sequence

from pika.channel import Channel

from common.process.run import Process

# An acknowledgement costs the broker about as much as a message, and one with `multiple` no more than another.
ACK_BATCH = 64  # deliveries; with 128 a consumer handled 2 to 8 % fewer, since they come back later
ACK_DELAY_SECONDS = 0.005  # the longest that fewer than ACK_BATCH wait
# Deliveries rarer than this are acknowledged at once. A later acknowledgement meets the next publish in the broker's
# log, which waits for it: at 500 a second a tenth of all messages were up to half a millisecond later.
UNBATCHED_INTERVAL_SECONDS = 0.001

# An acknowledgement that comes just before its channel closes can be lost with it: the broker's channel keeps it while
# the queue is behind. Of 67 stops under load several had duplicates, hundreds at a time; with this pause, of 64 none.
CLOSE_AFTER_ACK_SECONDS = 0.3


class Acknowledger:
    """Serves one channel at a time: `channel` is the open one, or None."""

    def __init__(self, process: Process) -> None:
        self.channel: Channel | None = None
        self.bytes = 0  # that the unsettled deliveries keep
        self._sizes: dict[int, int] = {}  # bytes of each unsettled delivery by its tag, in the order of the tags
        self._settled: list[int] = []  # tags that are not acknowledged yet
        self._process = process
        self._flushed_at = 0.0
        self._timer_runs = self._held = False

    @property
    def unsettled(self) -> int:
        return len(self._sizes)

    def delivered(self, tags: Sequence[int], sizes: Sequence[int]) -> None:
        """Note deliveries of these sizes in bytes. Tags count up on a channel."""
        self._sizes.update(zip(tags, sizes, strict=True))
        self.bytes += sum(sizes)

    def grow(self, tag: int, size: int) -> None:
        """Note that an unsettled delivery keeps so many bytes more."""
        if tag in self._sizes:
            self._sizes[tag] += size
            self.bytes += size

    def settle(self, tags: list[int], prefetch: int) -> None:
        """Acknowledge `tags` soon; at once if half of `prefetch` is settled, so that the broker goes on sending."""
        pop = self._sizes.pop
        self.bytes -= sum([pop(tag, 0) for tag in tags])
        self._settled += tags
        waiting, passed = len(self._settled), time.monotonic() - self._flushed_at
        batch, delay = min(ACK_BATCH, prefetch // 2), min(ACK_DELAY_SECONDS, waiting * UNBATCHED_INTERVAL_SECONDS)
        if waiting >= batch or passed >= delay:
            self.flush()
        elif not self._timer_runs:
            self._timer_runs = True
            self._process.call_later(ACK_DELAY_SECONDS, self._on_timer)

    def flush(self) -> None:
        """Acknowledge all that is settled.

        `multiple` acknowledges all older deliveries too, so it is used only below the oldest unsettled one.
        """
        if self.channel and not self._held:
            self._flushed_at = time.monotonic()
            settled, self._settled = self._settled, []
            oldest = next(iter(self._sizes), math.inf)
            if newest := max((tag for tag in settled if tag < oldest), default=0):
                self.channel.basic_ack(newest, multiple=True)
            for tag in [tag for tag in settled if tag > oldest]:
                self.channel.basic_ack(tag)

    def flushed(self) -> bool:
        """True when the channel may close; flushes what is left."""
        if self._settled:
            self.flush()
        return time.monotonic() - self._flushed_at >= CLOSE_AFTER_ACK_SECONDS

    def requeue(self, tag: int, *, counted: bool) -> None:
        """Requeue one: every broker counts a reject against the delivery limit, those from 4.3 on count no nack."""
        if self.channel:
            self.bytes -= self._sizes.pop(tag, 0)
            (self.channel.basic_reject if counted else self.channel.basic_nack)(tag, requeue=True)

    def requeue_all(self) -> None:
        if self.channel:
            self.flush()
            self._clear()
            self.channel.basic_nack(0, multiple=True, requeue=True)

    def hold(self) -> None:
        """Acknowledge nothing until `release`."""
        self._held = True

    def release(self) -> None:
        self._held = False
        self.flush()

    def lost(self) -> None:
        """Forget all: tags of the next channel begin at 1."""
        self.channel, self._held = None, False
        self._clear()

    def _clear(self) -> None:
        self._sizes.clear()
        self._settled.clear()
        self.bytes = 0

    def _on_timer(self) -> None:
        self._timer_runs = False
        self.flush()
