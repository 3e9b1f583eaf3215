"""How long to wait before the next try, and which broker is tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.amqp.backoff import Backoff, full_jitter

CAPS = st.floats(0.001, 1000)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pause is as long as its jitter allows."""

    def uniform(shortest: float, longest: float) -> float:
        assert shortest == 0
        return longest

    monkeypatch.setattr("random.uniform", uniform)


@given(st.integers(0, 10_000), CAPS)
def test_a_pause_is_never_negative_and_never_over_its_cap(attempt: int, cap: float) -> None:
    """At any attempt, even after days of failed tries."""
    assert 0 <= full_jitter(attempt, cap) <= cap


def test_pauses_of_many_clients_spread() -> None:
    """Clients of one restarted broker do not come back in step."""
    assert len({full_jitter(0, 1000) for _ in range(200)}) > 100


@pytest.mark.usefixtures("longest")
def test_the_longest_pause_doubles_from_200_ms_up_to_the_cap() -> None:
    assert [full_jitter(attempt, 5.0) for attempt in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff = Backoff(5.0)
    assert [backoff.failed(1) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@pytest.mark.usefixtures("longest")
def test_all_brokers_are_tried_in_their_order_before_there_is_a_pause() -> None:
    backoff = Backoff(5.0)
    tries = [(backoff.which(3), backoff.failed(3)) for _ in range(6)]
    assert tries == [(0, 0.0), (1, 0.0), (2, 0.2), (0, 0.0), (1, 0.0), (2, 0.4)]


def test_after_a_lost_connection_the_next_broker_is_tried() -> None:
    """A broker that accepts connections and confirms nothing must not be the only one tried."""
    backoff = Backoff(10)
    backoff.failed(3)
    backoff.lost(60)
    assert backoff.which(3) == 2
    backoff.lost(60)
    assert backoff.which(3) == 0


@pytest.mark.usefixtures("longest")
def test_only_a_connection_that_outlives_the_cap_makes_pauses_short_again() -> None:
    """A connection that is refused at its first use backs off like one that never opened."""
    backoff = Backoff(5.0)
    assert [backoff.lost(after) for after in (0.1, 5.0, 4.9)] == [0.2, 0.4, 0.8]
    assert [backoff.lost(after) for after in (5.1, 0.1)] == [0.2, 0.4]


def test_the_number_of_brokers_may_change_between_tries() -> None:
    """MQ_URL_FILE is read at every connect."""
    backoff = Backoff(1)
    for brokers in (3, 1, 2, 5):
        assert backoff.which(brokers) < brokers
        backoff.failed(brokers)
