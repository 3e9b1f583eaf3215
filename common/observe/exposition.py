"""Exposition: our metrics beside those of the user's own code, as Prometheus reads them."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from common.observe.histogram import Histogram
from common.observe.metric import METRICS, Counter, Metric, Numbers

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for


class _Ours(Collector):
    def collect(self) -> Iterable[Any]:
        return map(family, [*METRICS.values()])

    def describe(self) -> Iterable[Any]:
        """Nothing, or a name that the user's code has, too, would be an error at each look at the page."""
        return ()


def family(metric: Metric) -> Any:
    """What prometheus_client makes a page of."""
    if isinstance(metric, Histogram):
        return HistogramMetricFamily(metric.name, metric.documentation, buckets=metric.buckets(), sum_value=metric.sum)
    assert isinstance(metric, Numbers)  # noqa: S101 - there are no others
    kind = CounterMetricFamily if isinstance(metric, Counter) else GaugeMetricFamily
    found = kind(metric.name, metric.documentation, labels=[metric.label] if metric.label else [])
    for labels, series in metric.series():
        found.add_metric(labels, series.read())
    return found


REGISTRY.register(_Ours())
