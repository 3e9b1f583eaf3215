"""Our histogram against prometheus_client's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Theirs

from common.histogram import Histogram

BOUNDS = (0.125, 0.5, 1, 60)
# Each is a sum of powers of two, so that the order of adding does not show in the sum.
VALUES = st.lists(st.sampled_from([0.0, 0.125, 0.1875, 0.5, 1.0, 59.5, 60.0, 60.5, 86400.0]), max_size=30)


@given(st.lists(VALUES, max_size=4))
def test_it_is_exposed_as_prometheus_clients_own_is(batches: list[list[float]]) -> None:
    """To the byte, whatever was observed: a value on a bound belongs to that bound."""
    one, other = CollectorRegistry(), CollectorRegistry()
    ours = Histogram("test_seconds", "What it is.", buckets=BOUNDS, registry=one)
    theirs = Theirs("test_seconds", "What it is.", buckets=BOUNDS, registry=other)
    for batch in batches:
        ours.observe(batch)
        for value in batch:
            theirs.observe(value)
    assert generate_latest(one) == generate_latest(other)


def test_two_of_one_name_are_refused() -> None:
    """As the registry does for its own metrics."""
    registry = CollectorRegistry(auto_describe=True)
    Histogram("test_twice", "First.", buckets=BOUNDS, registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Histogram("test_twice", "Second.", buckets=BOUNDS, registry=registry)
