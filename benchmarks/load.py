"""The source and the handlers that the two services are measured with, through their public settings.

The services know nothing of it. A source cannot see confirms, so this one reads the service's own metrics: it begins
when the connection is open, and ends when all is confirmed.
"""

import atexit
import os
import time
from collections.abc import Iterator

from prometheus_client import REGISTRY

from benchmarks.peers.contract import Task
from benchmarks.span import Span, padding, stamped
from common.message import Message

_span = Span()
atexit.register(_span.report)


def messages() -> Iterator[str]:
    """BENCH_COUNT texts of BENCH_SIZE bytes, at BENCH_RATE a second (0: at once)."""
    count, size, rate = (int(os.environ[f"BENCH_{name}"]) for name in ("COUNT", "SIZE", "RATE"))
    _wait_for("mq_connected", 1)
    _span.begin()
    yield from map(bytes.decode, Task("publish", "", "", count, size, rate).bodies())
    _wait_for("producer_confirmed_total", count)
    _span.confirmed(count)


def first() -> Iterator[str]:
    """One message at once."""
    _span.begin()
    yield stamped(padding(256)).decode()
    _wait_for("producer_confirmed_total", 1)
    _span.confirmed()


def nothing(message: Message) -> None:
    """The empty handler."""
    _span.handled(message.body)


def latency(message: Message) -> None:
    """The empty handler that keeps each message's age."""
    _span.arrived(message.body)


def _wait_for(name: str, value: float) -> None:
    metric = REGISTRY.restricted_registry([name])
    while sum(sample.value for family in metric.collect() for sample in family.samples) < value:
        time.sleep(0.001)
