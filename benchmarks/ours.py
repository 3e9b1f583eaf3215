"""Ours: the two services as a user starts them, with their settings' own defaults."""

import sys

from benchmarks.client import Client, Command, Where
from local.ports import free_port


class Ours(Client):
    """`python -m producer` and `python -m consumer`, health and metrics served, the whole topology declared."""

    def publish(self, where: Where, count: int, size: int, rate: int = 0) -> Command:
        """Publish `count` messages of `size` bytes; `rate` a second, 0 for as fast as it goes."""
        load = {"BENCH_COUNT": str(count), "BENCH_SIZE": str(size), "BENCH_RATE": str(rate)}
        return _service("producer", where, {"PRODUCER_SOURCE": "benchmarks.load:messages", **load})

    def consume(self, where: Where, *, latency: bool = False) -> Command:
        """Consume until SIGTERM."""
        return _service(
            "consumer", where, {"CONSUMER_HANDLER": f"benchmarks.load:{'latency' if latency else 'nothing'}"}
        )

    def start(self, where: Where) -> Command:
        """Publish one message."""
        return _service("producer", where, {"PRODUCER_SOURCE": "benchmarks.load:first"})


def _service(name: str, where: Where, settings: dict[str, str]) -> Command:
    common = {"MQ_URL": where.url, "MQ_CH": where.queue, "HTTP_PORT": str(free_port()), "LOG_LEVEL": "warning"}
    return Command((sys.executable, "-m", name), {**common, **settings})
