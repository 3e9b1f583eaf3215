"""Which messages a person was asked about."""

from hypothesis import given
from hypothesis import strategies as st

from common.message import Message
from consumer.dead_letters.parked import Parked
from consumer.dead_letters.shown import Shown


def parked(number: int, position: int = 1, body: bytes = b"x", **headers: object) -> Parked:
    return Parked(position, Message(body, message_id=f"m{number}", headers=headers))


@given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)))
def test_exactly_those_that_were_added_are_known_again(first: set[int], second: set[int]) -> None:
    """In any order, and after more were added."""
    shown, known = Shown(), set[int]()
    for numbers in (first, second):
        known |= numbers
        for number in numbers:
            shown.add(parked(number))
        assert {number for number in range(100) if shown.has(parked(number))} == known


def test_a_look_and_another_place_change_no_message() -> None:
    """The broker counts looks, and whatever is before it may leave."""
    shown = Shown()
    shown.add(parked(1, 7, tenant="a"))
    assert shown.has(parked(1, 3, tenant="a", **{"x-delivery-count": 2}))


def test_another_message_is_another_one_whatever_it_is_called() -> None:
    """A name may be missing, or given twice; one that failed again meanwhile says so in its headers."""
    shown = Shown()
    shown.add(parked(1, tenant="a"))
    assert not shown.has(parked(1, tenant="b"))
    assert not shown.has(parked(1, body=b"y", tenant="a"))
    assert not shown.has(parked(1, tenant="a", **{"mq-replays": 1}))
