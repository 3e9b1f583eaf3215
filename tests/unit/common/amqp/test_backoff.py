"""How long to wait before the next try, and with which broker."""

from hypothesis import given
from hypothesis import strategies as st

from common.amqp.backoff import Backoff, full_jitter

CAPS = st.floats(0.001, 1000)


@given(st.integers(0, 10_000), CAPS)
def test_a_delay_is_never_negative_and_never_over_its_cap(attempt: int, cap: float) -> None:
    """At any attempt, even after days of them."""
    assert 0 <= full_jitter(attempt, cap) <= cap


def test_delays_spread_and_grow() -> None:
    """Clients of one restarted broker do not come back in step, and each waits longer than before."""
    early = [full_jitter(0, 1000) for _ in range(200)]
    late = [full_jitter(6, 1000) for _ in range(200)]
    assert len(set(early)) > 100
    assert max(early) <= 0.2
    assert max(late) > 2


@given(st.integers(1, 5), CAPS)
def test_all_brokers_are_tried_at_once_before_there_is_a_delay(brokers: int, cap: float) -> None:
    """Each once, in their order; only the failure of the last is followed by a wait."""
    backoff = Backoff(cap)
    tried = []
    for number in range(2 * brokers):
        tried.append(backoff.which(brokers))
        delay = backoff.failed(brokers)
        assert delay <= cap
        assert (number + 1) % brokers == 0 or delay == 0
    assert tried == list(range(brokers)) * 2


def test_a_lost_connection_is_made_anew_with_the_next_broker() -> None:
    """One may accept connections and confirm nothing: it must not be all that is tried."""
    backoff = Backoff(10)
    backoff.failed(3)
    backoff.lost(60)
    assert backoff.which(3) == 2
    backoff.lost(60)
    assert backoff.which(3) == 0


def test_only_staying_open_makes_delays_short_again() -> None:
    """A connection that is refused at its first use backs off like one that never came."""
    backoff = Backoff(100)
    for _ in range(9):
        backoff.lost(after=0.1)
    assert max(backoff.lost(after=0.1) for _ in range(100)) > 1
    assert backoff.lost(after=101) <= 0.2


def test_the_number_of_brokers_may_change_between_tries() -> None:
    """MQ_URL_FILE is read at every connect."""
    backoff = Backoff(1)
    for brokers in (3, 1, 2, 5):
        assert backoff.which(brokers) < brokers
        backoff.failed(brokers)
