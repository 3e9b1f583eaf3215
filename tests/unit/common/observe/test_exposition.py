"""Our metrics as prometheus_client shows its own."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import prometheus_client as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.registry import Collector

from common.observe.exposition import family
from common.observe.histogram import Histogram
from common.observe.metric import METRICS, Counter, Gauge, Metric

BOUNDS = (0.125, 0.5, 1, 60)
# Each is a sum of powers of two, so that the order of adding does not show in the sum.
VALUES = st.lists(st.sampled_from([0.0, 0.125, 0.1875, 0.5, 1.0, 59.5, 60.0, 60.5, 86400.0]), max_size=30)


class Shown(Collector):
    """These alone."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics
        for metric in metrics:
            del METRICS[metric.name]

    def collect(self) -> Iterable[Any]:
        """For the registry."""
        return map(family, self._metrics)


def page(*metrics: Metric) -> bytes:
    registry = theirs.CollectorRegistry()
    registry.register(Shown(*metrics))
    return theirs.generate_latest(registry)


@given(st.lists(VALUES, max_size=4))
def test_a_histogram_is_shown_as_theirs_is(batches: list[list[float]]) -> None:
    """To the byte, whatever was observed: a value on a bound belongs to that bound."""
    registry = theirs.CollectorRegistry()
    one = Histogram("test_seconds", "What it is.", buckets=BOUNDS)
    other = theirs.Histogram("test_seconds", "What it is.", buckets=BOUNDS, registry=registry)
    for batch in batches:
        one.observe(batch)
        for value in batch:
            other.observe(value)
    assert page(one) == theirs.generate_latest(registry)


@given(st.lists(st.sampled_from([1, 2, 0.5, 1e9])), st.sampled_from([0, -1, 0.1, float("inf")]))
def test_counters_and_gauges_are_shown_as_theirs_are(steps: list[float], now: float) -> None:
    """With a label and without."""
    registry = theirs.CollectorRegistry()
    counter, labelled = Counter("test_counted", 'Of "all".'), Counter("test_labelled", "Each.", "way")
    gauge = Gauge("test_gauge", "Now.")
    one = theirs.Counter("test_counted", 'Of "all".', registry=registry)
    two = theirs.Counter("test_labelled", "Each.", ["way"], registry=registry)
    three = theirs.Gauge("test_gauge", "Now.", registry=registry)
    for each in (counter, one):
        for step in steps:
            each.inc(step)
    for way in ('in "1"', "out"):
        labelled.labels(way).inc(2)
        two.labels(way).inc(2)
    gauge.set(now)
    three.set(now)
    assert page(counter, labelled, gauge) == theirs.generate_latest(registry)


@pytest.fixture
def of_the_user() -> Iterator[theirs.Counter]:
    """One that a handler counts."""
    counter = theirs.Counter("test_of_the_user", "Theirs.")
    yield counter
    theirs.REGISTRY.unregister(counter)


@pytest.mark.usefixtures("own_metrics")
def test_those_of_the_users_code_are_shown_beside_ours(of_the_user: theirs.Counter) -> None:
    """In the registry that everybody has."""
    Counter("test_ours", "Ours.").inc()
    of_the_user.inc(3)
    lines = theirs.generate_latest().decode().splitlines()
    assert {"test_ours_total 1.0", "test_of_the_user_total 3.0"} <= set(lines)
    assert not any("_created" in line for line in lines)


def test_one_of_the_users_that_is_called_as_ours_is_shown_too() -> None:
    """It is there before ours are shown at all; an error would be one at each look at the page."""
    code = """
import consumer.metrics, prometheus_client
prometheus_client.Counter("consumer_delivered", "Theirs.").inc(3)
import common.observe.exposition
lines = prometheus_client.generate_latest().decode().splitlines()
assert {"consumer_delivered_total 0.0", "consumer_delivered_total 3.0"} <= set(lines)
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
