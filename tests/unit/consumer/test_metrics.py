"""The consumer's metrics."""

from prometheus_client import REGISTRY

from consumer import metrics


def test_every_outcome_has_a_series_from_the_start() -> None:
    """A rate of something that first appears at its first failure would miss it."""
    for outcome in ("ack", "retry", "parked"):
        assert REGISTRY.get_sample_value("consumer_settled_total", {"outcome": outcome}) is not None
    for name in ("consumer_delivered_total", "consumer_handler_seconds_count", "consumer_message_age_seconds_count"):
        assert REGISTRY.get_sample_value(name) is not None


def test_an_age_of_a_day_still_has_a_bucket() -> None:
    """Messages wait as long as an outage."""
    bounds = list(metrics.AGE_SECONDS.bounds)
    assert bounds == sorted(bounds)
    assert 86400 in bounds
