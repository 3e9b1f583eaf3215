"""Client: how one of the measured programs is started, and how many messages fill about a second of its time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Command(NamedTuple):
    """One process to start: its argv, and what its environment has besides PATH and BENCH_*."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


class Where(NamedTuple):
    """The queue of one run."""

    url: str
    queue: str


@dataclass(frozen=True)
class Client:
    """A peer that answers to the command line of peers/contract.py."""

    key: str
    label: str
    argv: tuple[str, ...]
    publishes: int
    consumes: int
    env: Mapping[str, str] = field(default_factory=dict)
    own_messages: bool = False
    """It reads only what it has published itself."""
    own_queues: tuple[str, ...] = ()
    """It declares its queues itself: these suffixes, added to the queue's name, are deleted after a run."""

    def publish(self, where: Where, count: int, size: int, rate: int = 0) -> Command:
        """Publish `count` messages of `size` bytes; `rate` a second, 0 for as fast as it goes."""
        return self._command(where, "publish", str(count), str(size), str(rate))

    def consume(self, where: Where, *, latency: bool = False) -> Command:
        """Consume until SIGTERM."""
        return self._command(where, "latency" if latency else "consume")

    def start(self, where: Where) -> Command:
        """Publish one message."""
        return self.publish(where, 1, 256)

    def _command(self, where: Where, *arguments: str) -> Command:
        return Command((*self.argv, *arguments), {**self.env, "BENCH_URL": where.url, "BENCH_QUEUE": where.queue})
