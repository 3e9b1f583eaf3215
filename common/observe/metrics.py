"""Metrics of both services, in prometheus_client's registry, and a histogram that observes batches.

Counters count where a state changes, once a batch; gauges are computed when scraped.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, Counter, Gauge, disable_created_metrics
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # else each counter has a second series, `_created`

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Histogram(Collector):
    """prometheus_client's histogram for many values at a time. One thread observes, any thread may read.

    prometheus_client's own takes a lock and six calls a value. With two values a message, that was half of the CPU time
    of the consumer's own code.
    """

    def __init__(self, name: str, documentation: str, *, buckets: Sequence[float]) -> None:
        """`buckets` are the rising upper bounds; +Inf is added. Raises ValueError for a name in use."""
        self.bounds = tuple(map(float, buckets))
        self.sum = 0.0
        self._name, self._documentation = name, documentation
        self._counts = [0] * (len(self.bounds) + 1)
        REGISTRY.register(self)

    def observe(self, values: Sequence[float]) -> None:
        if not values:
            return
        counts, bounds = self._counts, self.bounds
        lowest, highest = bisect_left(bounds, min(values)), bisect_left(bounds, max(values))
        if lowest == highest:  # values observed together are seldom far apart
            counts[lowest] += len(values)
        else:
            for value in values:
                counts[bisect_left(bounds, value, lowest, highest)] += 1
        self.sum += sum(values)

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound as text, and how many values were at or below the bound."""
        labels = (*map(str, self.bounds), "+Inf")
        return list(zip(labels, accumulate(self._counts.copy()), strict=True))

    def collect(self) -> list[HistogramMetricFamily]:
        """Implements `Collector`; the registry also reads the names from it."""
        return [HistogramMetricFamily(self._name, self._documentation, self.buckets(), self.sum)]


READY = Gauge("mq_ready", "1 while /readyz says that the service is ready.")
CONNECTED = Gauge("mq_connected", "1 while the connection is open and its queues are accepted.", ["connection"])
BLOCKED = Gauge("mq_blocked", "1 while the broker blocks the connection (memory or disk alarm).", ["connection"])
RECONNECTS = Counter("mq_reconnects", "Open connections that were lost and are made anew.", ["connection"])
LOG_LINES_DROPPED = Counter("log_lines_dropped", "Log lines not written: nobody read the log, or its disk was full.")


class PublisherMetrics:
    """The metrics of one publisher, whose names begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        def counter(name: str, documentation: str) -> Counter:
            return Counter(f"{prefix}_{name}", documentation)

        self.sent = 0  # like `published`, for the last log line
        self.published = counter("published", "Messages sent to the broker; a message sent again counts again.")
        self.confirmed = counter("confirmed", "Messages that the broker confirmed: it is responsible for them.")
        self.returned = counter("returned", "Messages that the broker returned since no queue took them.")
        self.nacked = counter("nacked", "Messages that the broker refused for now (full queue); sent again.")
        self.refused = counter("refused", "Messages that cannot be published at all (too large, bad header).")
        self.unconfirmed = Gauge(f"{prefix}_unconfirmed", "Messages taken and not yet confirmed.")
        self.confirm_seconds = Histogram(
            f"{prefix}_confirm_seconds", "From publishing a message to its confirm.", buckets=LATENCY_BUCKETS
        )
