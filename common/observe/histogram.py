"""Histogram: as prometheus_client's, for many values at a time."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from common.observe.metric import Metric


class Histogram(Metric):
    """One thread observes, any may read.

    prometheus_client's own takes a lock and six calls for each value, which for two values a message was half of what
    the consumer's own code cost.
    """

    def __init__(self, name: str, documentation: str, *, buckets: Sequence[float]) -> None:
        """`buckets` are the upper bounds, rising; one without a bound follows. Raises ValueError as Metric does."""
        super().__init__(name, documentation)
        self.bounds = tuple(map(float, buckets))
        self.sum = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, values: Sequence[float]) -> None:
        """Count these."""
        if not values:
            return
        counts, bounds = self._counts, self.bounds
        lowest, highest = bisect_left(bounds, min(values)), bisect_left(bounds, max(values))
        if lowest == highest:  # what is observed at one time is seldom far apart
            counts[lowest] += len(values)
        else:
            for value in values:
                counts[bisect_left(bounds, value, lowest, highest)] += 1
        self.sum += sum(values)

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound as text, and how many values were not above it."""
        labels = (*map(str, self.bounds), "+Inf")
        return list(zip(labels, accumulate(self._counts.copy()), strict=True))
