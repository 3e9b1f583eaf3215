"""Metric: counters and gauges as plain numbers. prometheus_client shows them (exposition.py), and is loaded for that.

Its import is a tenth of a start, and nobody scrapes before it is over.
"""

from collections.abc import Callable
from typing import Final

METRICS: Final[dict[str, "Metric"]] = {}
"""All that there are, by name."""


class Metric:
    """One of `METRICS`."""

    def __init__(self, name: str, documentation: str) -> None:
        """Raises ValueError for a name that there is already."""
        if name in METRICS:
            raise ValueError(f"a second metric {name}")
        METRICS[name] = self
        self.name, self.documentation = name, documentation


class Series:
    """One number. One thread writes, any may read."""

    def __init__(self) -> None:
        self._value = 0.0
        self.read: Callable[[], float] = lambda: self._value

    def inc(self, amount: float = 1) -> None:
        """So much more."""
        self._value += amount

    def set_function(self, function: Callable[[], float]) -> None:
        """It is asked whenever somebody reads."""
        self.read = function


class Numbers(Metric, Series):
    """A counter or a gauge: its own series is shown, or those of its label's values."""

    def __init__(self, name: str, documentation: str, label: str = "") -> None:
        """Raises ValueError for a name that there is already."""
        Metric.__init__(self, name, documentation)
        Series.__init__(self)
        self.label, self._labels = label, dict[str, Series]()

    def labels(self, value: str) -> Series:
        """That of this value."""
        return self._labels.setdefault(value, Series())

    def series(self) -> list[tuple[list[str], Series]]:
        """Each with its label's value, if it has one."""
        return [([value], series) for value, series in self._labels.copy().items()] if self.label else [([], self)]


class Counter(Numbers):
    """It only rises."""


class Gauge(Numbers):
    """It rises and falls."""

    def set(self, value: float) -> None:
        """What it is until it is set again."""
        self._value = value
