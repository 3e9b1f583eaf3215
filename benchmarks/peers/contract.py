"""The command line of every peer: `publish COUNT SIZE RATE`, `consume` or `latency`.

publish   COUNT messages of SIZE bytes, persistent, mandatory, each confirmed; RATE a second, 0 for as fast as it goes.
          Each is stamped as it leaves, but one that was due while its client was busy with the last, with when it was
          due: a client that waits for each confirm would leave the wait for the broker out of what is measured.
consume   handles and acknowledges until SIGTERM, then closes in order, so that nothing goes back to the queue.
latency   the same, and keeps each message's age.
Where: BENCH_URL (AMQP URL), BENCH_QUEUE (it exists), BENCH_REPORT (the file that the Span is written to).
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.span import padding, stamped


@dataclass(frozen=True)
class Task:
    """One run of one peer."""

    mode: str
    url: str
    queue: str
    count: int = 0
    size: int = 0
    rate: float = 0

    @classmethod
    def from_argv(cls) -> "Task":
        """Raises KeyError or ValueError when the harness is wrong."""
        mode, *numbers = sys.argv[1:]
        return cls(mode, os.environ["BENCH_URL"], os.environ["BENCH_QUEUE"], *map(int, numbers))

    def pace(self) -> Iterator[tuple[float, float]]:
        """For each message, asked for when its client is free: seconds to wait, and when it was due if that is over."""
        began = time.monotonic()
        for number in range(self.count):
            due = began + number / self.rate if self.rate else 0.0
            early = due and due - time.monotonic()
            yield max(0.0, early), due if early < 0 else 0.0

    def bodies(self) -> Iterator[bytes]:
        """Waits (for clients that block) until each message is due, and stamps it then."""
        rest = padding(self.size)
        for wait, late in self.pace():
            if wait:
                time.sleep(wait)
            yield stamped(rest, late)
