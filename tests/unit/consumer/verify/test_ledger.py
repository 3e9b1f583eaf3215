"""What is counted of each message."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.verify.ledger import Ledger


def test_a_message_that_is_confirmed_and_did_not_come_is_lost() -> None:
    """Until it comes; one that comes before its confirm is not lost."""
    ledger = Ledger()
    first, second = ledger.send(1.0), ledger.send(1.0)
    ledger.confirm(first)
    assert (ledger.attempted, ledger.confirmed, ledger.handled, ledger.lost) == (2, 1, 0, 1)
    ledger.handle(second, 1.5)
    assert ledger.lost == 1
    ledger.handle(first, 2.0)
    assert (ledger.handled, ledger.lost, ledger.duplicates) == (2, 0, 0)
    assert ledger.latencies == [0.5, 1.0]
    assert ledger.age(ledger.ended) == 1.0


def test_before_the_first_message_no_time_has_passed() -> None:
    """A rate counts from there."""
    assert Ledger().age(100.0) == 0.0


@given(st.lists(st.integers(0, 9), max_size=40), st.sets(st.integers(0, 9)))
def test_each_message_counts_once_and_every_more_is_a_duplicate(came: list[int], confirmed: set[int]) -> None:
    """Whatever comes, in whatever order."""
    ledger = Ledger()
    for _ in range(10):
        ledger.send(0.0)
    for number in confirmed:
        ledger.confirm(number)
        ledger.confirm(number)
    for number in came:
        ledger.handle(number, 1.0)
    assert ledger.confirmed == len(confirmed)
    assert ledger.handled == len(ledger.latencies) == len(set(came))
    assert ledger.duplicates == len(came) - len(set(came))
    assert ledger.lost == len(confirmed - set(came))
