"""The source and the handlers that the two services are measured with, through their public settings.

The services know nothing of it. A source cannot see confirms, so this one reads the service's own metrics: it begins
when the connection is open, and ends when all is confirmed.
"""

import atexit
import os
import socket
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
    _scrape()


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
    shown = REGISTRY.restricted_registry([name])
    while sum(sample.value for metric in shown.collect() for sample in metric.samples) < value:
        time.sleep(0.001)


def _scrape() -> None:
    """As Prometheus would: what a page of metrics takes is of the peak of memory."""
    with socket.create_connection(("127.0.0.1", int(os.environ["HTTP_PORT"])), timeout=10) as page:
        page.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        if not page.recv(1):
            raise ConnectionError("/metrics is empty")
        while page.recv(65536):
            pass
