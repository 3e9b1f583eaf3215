"""Span: what one process measures of itself, from its first message to its last."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

STAMP: Final = 16
"""The first 16 bytes of every body: CLOCK_MONOTONIC in nanoseconds as hexadecimal digits; one clock for all."""

SAMPLE: Final = 64
"""Messages between two looks at the CPU time: a look is a call of the system, as dear as handling one in C."""


def padding(size: int) -> bytes:
    """What follows the stamp in a body of `size` bytes. All of it is text, which any client can send."""
    return b"x" * (size - STAMP)


def stamped(rest: bytes, late: float = 0.0) -> bytes:
    """A body that leaves now; `late` is when it should have left (CLOCK_MONOTONIC seconds), if its client was busy."""
    return b"%016x" % (int(late * 1e9) or time.monotonic_ns()) + rest


class Span:
    """Counts messages between the first and the last, so that interpreter, imports and the end are outside.

    Times are CLOCK_MONOTONIC seconds. Written as JSON to the file that BENCH_REPORT names.
    """

    def __init__(self) -> None:
        self.count = 0
        self.began = self.ended = self.first = self._cpu = self._used = 0.0
        self._sampled = 0  # the count when the CPU time was looked at
        self._latencies: list[int] = []

    def begin(self) -> None:
        """Just before the first message is published."""
        self._cpu = time.process_time()
        self.began = time.monotonic()

    def confirmed(self, count: int = 1) -> None:
        """`count` more publishes are confirmed."""
        self.ended = time.monotonic()
        if not self.count:
            self.first = self.ended
        self.count += count
        if self.count - self._sampled >= SAMPLE:
            self._sample()

    def handled(self, body: bytes) -> None:
        """The empty handler: counts, and looks at the clock."""
        del body
        self.ended = time.monotonic()
        if not self.count:
            self._cpu = time.process_time()
            self.began = self.first = self.ended
        self.count += 1
        if not self.count % SAMPLE:
            self._sample()

    def arrived(self, body: bytes) -> None:
        """The handler of a latency run: keeps the message's age, too."""
        self._latencies.append(time.monotonic_ns() - int(body[:STAMP], 16))
        self.handled(body)

    def handler(self, mode: str) -> Callable[[bytes], None]:
        """What a consumer calls for each body."""
        return self.arrived if mode == "latency" else self.handled

    def report(self) -> None:
        """Once, when all is settled."""
        if not self._sampled:
            self._sample()
        Path(os.environ["BENCH_REPORT"]).write_text(
            json.dumps(
                {
                    "count": self.count,
                    "began": self.began,
                    "first": self.first,
                    "ended": self.ended,
                    "cpu": self._used * self.count / self._sampled,
                    "peak_kib": peak_kib(),
                    "latencies_ns": self._latencies,
                }
            )
        )

    def _sample(self) -> None:
        self._used, self._sampled = time.process_time() - self._cpu, max(1, self.count)


def peak_kib() -> int:
    """The peak of this process. Not getrusage's: that one starts from what the parent had when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
