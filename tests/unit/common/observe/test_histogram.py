"""What a histogram counts; test_exposition.py has it against prometheus_client's."""

import pytest

from common.observe.histogram import Histogram

pytestmark = pytest.mark.usefixtures("own_metrics")


def test_a_bucket_has_what_is_not_above_its_bound() -> None:
    """Those of lower bounds, too."""
    histogram = Histogram("test_seconds", "What it is.", buckets=(0.5, 1))
    histogram.observe([0.1, 0.5, 0.75])
    histogram.observe([2, 3])
    histogram.observe([])
    assert histogram.buckets() == [("0.5", 2), ("1.0", 3), ("+Inf", 5)]
    assert histogram.sum == pytest.approx(6.35)


def test_two_of_one_name_are_refused() -> None:
    """As for any metric."""
    Histogram("test_twice", "First.", buckets=(1,))
    with pytest.raises(ValueError, match="test_twice"):
        Histogram("test_twice", "Second.", buckets=(1,))
