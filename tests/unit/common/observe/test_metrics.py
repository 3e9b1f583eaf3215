"""The names and meaning of metrics, and the histogram of batches against prometheus_client's own."""

import prometheus_client as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, generate_latest

from common.observe.metrics import Histogram, PublisherMetrics

BOUNDS = (0.125, 0.5, 1, 60)
# Each is a sum of powers of two, so that the order of adding does not show in the sum.
VALUES = st.lists(st.sampled_from([0.0, 0.125, 0.1875, 0.5, 1.0, 59.5, 60.0, 60.5, 86400.0]), max_size=30)

value = REGISTRY.get_sample_value


@given(st.lists(VALUES, max_size=4))
def test_a_histogram_of_batches_is_shown_to_the_byte_as_prometheus_clients(batches: list[list[float]]) -> None:
    """Whatever is observed: a value on a bound belongs to that bound."""
    one = Histogram("test_seconds", "What it is.", buckets=BOUNDS)
    REGISTRY.unregister(one)
    registries = theirs.CollectorRegistry(), theirs.CollectorRegistry()
    registries[0].register(one)
    other = theirs.Histogram("test_seconds", "What it is.", buckets=BOUNDS, registry=registries[1])
    for batch in batches:
        one.observe(batch)
        for each in batch:
            other.observe(each)
    assert generate_latest(registries[0]) == generate_latest(registries[1])


@pytest.mark.usefixtures("own_metrics")
def test_a_bucket_counts_the_values_up_to_its_bound() -> None:
    histogram = Histogram("test_seconds", "What it is.", buckets=(0.5, 1))
    histogram.observe([0.1, 0.5, 0.75])
    histogram.observe([2, 3])
    histogram.observe([])
    assert histogram.bounds == (0.5, 1.0)
    assert histogram.buckets() == [("0.5", 2), ("1.0", 3), ("+Inf", 5)]
    assert histogram.sum == pytest.approx(6.35)


@pytest.mark.usefixtures("own_metrics")
@pytest.mark.parametrize("name", ["test_twice", "test_twice_bucket", "test_twice_count"])
def test_a_metric_of_a_name_in_use_is_refused(name: str) -> None:
    """Two would share a series that jumps; a user's metric of that name fails where it is made."""
    Histogram("test_twice", "First.", buckets=(1,))
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        theirs.Gauge(name, "Second.")
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Histogram("test_twice", "Second.", buckets=(1,))


@pytest.mark.usefixtures("own_metrics")
def test_a_publisher_counts_under_its_own_name() -> None:
    """From zero, so that a rate includes the first."""
    metrics = PublisherMetrics("test_name")
    for name in ("published_total", "confirmed_total", "returned_total", "nacked_total", "refused_total"):
        assert value(f"test_name_{name}") == 0
    assert value("test_name_unconfirmed") == 0
    metrics.published.inc(5)
    metrics.confirmed.inc(2)
    metrics.confirm_seconds.observe([0.002, 0.2])
    assert value("test_name_published_total") == 5
    assert value("test_name_confirmed_total") == 2
    assert value("test_name_confirm_seconds_count") == 2
    assert value("test_name_confirm_seconds_sum") == pytest.approx(0.202)
    assert value("test_name_confirm_seconds_bucket", {"le": "0.0025"}) == 1


@pytest.mark.usefixtures("own_metrics")
def test_a_users_metrics_are_shown_beside_ours_and_none_has_a_created_series() -> None:
    PublisherMetrics("test_ours").published.inc(1)
    theirs.Counter("test_of_the_user", "Theirs.").inc(3)
    lines = generate_latest().decode().splitlines()
    assert {"test_ours_published_total 1.0", "test_of_the_user_total 3.0"} <= set(lines)
    assert not any("_created" in line for line in lines)
