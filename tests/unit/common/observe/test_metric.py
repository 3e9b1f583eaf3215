"""Counters and gauges."""

import pytest

from common.observe.metric import METRICS, Counter, Gauge

pytestmark = pytest.mark.usefixtures("own_metrics")


def test_a_counter_adds_and_a_gauge_is_what_it_was_set_to() -> None:
    counter, gauge = Counter("test_counter", "Counts."), Gauge("test_gauge", "Is.")
    counter.inc()
    counter.inc(2)
    gauge.set(7)
    gauge.set(5)
    assert (counter.read(), gauge.read()) == (3, 5)
    assert METRICS["test_counter"] is counter


def test_a_function_is_asked_at_each_look() -> None:
    """It is the state itself; a copy of it would have to be kept up."""
    state = [1]
    gauge = Gauge("test_gauge", "Is.")
    gauge.set_function(lambda: len(state))
    state.append(2)
    assert gauge.read() == 2


def test_each_value_of_a_label_is_counted_by_itself() -> None:
    """From when it is first named; the counter's own number is not shown then."""
    counter = Counter("test_counter", "Counts.", "way")
    assert counter.series() == []
    counter.labels("in").inc()
    counter.labels("out")
    counter.labels("in").inc()
    assert [(labels, series.read()) for labels, series in counter.series()] == [(["in"], 2), (["out"], 0)]


def test_a_name_can_be_taken_once() -> None:
    """Two would be one series that jumps."""
    Counter("test_counter", "Counts.")
    with pytest.raises(ValueError, match="test_counter"):
        Gauge("test_counter", "Is.")
