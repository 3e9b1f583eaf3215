"""The metrics' names and meaning."""

import pytest
from prometheus_client import REGISTRY, generate_latest

from common.observe.metrics import PublisherMetrics


@pytest.mark.usefixtures("own_metrics")
def test_a_publisher_counts_under_its_own_name() -> None:
    """One series for each counter, and none for when it was made."""
    metrics = PublisherMetrics("test_name")
    metrics.count_published(2)
    assert metrics.sent == 2
    metrics.count_confirmed([0.002, 0.2])
    value = REGISTRY.get_sample_value
    assert value("test_name_published_total") == 2
    assert value("test_name_confirmed_total") == 2
    assert value("test_name_confirm_seconds_count") == 2
    assert value("test_name_confirm_seconds_bucket", {"le": "0.0025"}) == 1
    for name in ("returned_total", "nacked_total", "refused_total", "unconfirmed"):
        assert value(f"test_name_{name}") == 0
    assert b"_created" not in generate_latest()
