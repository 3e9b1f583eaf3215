"""Histogram: as prometheus_client's, for many values at a time."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Histogram(Collector):
    """One thread observes, any may collect.

    prometheus_client's own takes a lock and six calls for each value, which for two values a message was half of what
    the consumer's own code cost.
    """

    def __init__(
        self, name: str, documentation: str, *, buckets: Sequence[float], registry: CollectorRegistry = REGISTRY
    ) -> None:
        """`buckets` are the upper bounds, rising; one without a bound follows."""
        self._name, self._documentation = name, documentation
        self._bounds = tuple(map(float, buckets))
        self._labels = (*map(str, self._bounds), "+Inf")
        self._counts = [0] * len(self._labels)
        self._sum = 0.0
        registry.register(self)

    def observe(self, values: Sequence[float]) -> None:
        """Count these."""
        if not values:
            return
        counts, bounds = self._counts, self._bounds
        lowest, highest = bisect_left(bounds, min(values)), bisect_left(bounds, max(values))
        if lowest == highest:  # what is observed at one time is seldom far apart
            counts[lowest] += len(values)
        else:
            for value in values:
                counts[bisect_left(bounds, value, lowest, highest)] += 1
        self._sum += sum(values)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """For the registry."""
        total, buckets = 0, []
        for label, count in zip(self._labels, self._counts.copy(), strict=True):
            total += count
            buckets.append((label, total))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)
