"""The account of every message."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.checker import account, known_confirmed

NAMES = st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True, max_size=30)


def test_all_handled_is_all_well() -> None:
    total = account(["a", "b"], {"a", "b"}, ["a", "b"])
    assert (total.lost, total.unexpected, total.duplicated, total.recovered) == ((), (), 0, ())


def test_confirmed_and_nowhere_is_lost() -> None:
    assert account(["a", "b"], {"a", "b"}, ["a"]).lost == ("b",)


def test_not_confirmed_and_nowhere_is_unclear_and_not_lost() -> None:
    total = account(["a", "b"], {"a"}, ["a"])
    assert (total.lost, total.unclear) == ((), ("b",))


def test_not_confirmed_and_handled_is_recovered() -> None:
    assert account(["a", "b"], {"a"}, ["a", "b"]).recovered == ("b",)


def test_never_attempted_and_handled_is_unexpected() -> None:
    assert account(["a"], {"a"}, ["a", "ghost"]).unexpected == ("ghost",)


def test_handled_thrice_is_two_duplicates() -> None:
    assert account(["a"], {"a"}, ["a", "a", "a"]).duplicated == 2


def test_parked_or_left_in_a_queue_is_not_lost() -> None:
    total = account(["a", "b", "c"], {"a", "b", "c"}, ["a"], parked=["b"], left=["c"])
    assert (total.lost, total.parked, total.left) == ((), 1, 1)


@given(NAMES, st.data())
def test_every_attempt_is_exactly_one_of_lost_unclear_or_there(names: list[str], data: st.DataObject) -> None:
    confirmed = set(data.draw(st.lists(st.sampled_from(names)))) if names else set()
    handled = data.draw(st.lists(st.sampled_from(names))) if names else []
    parked = data.draw(st.lists(st.sampled_from(names))) if names else []
    total = account(names, confirmed, handled, parked)
    there = set(handled) | set(parked)
    parts = Counter([*total.lost, *total.unclear, *there])
    assert parts == Counter(names)
    assert set(total.lost) <= confirmed
    assert not confirmed & set(total.unclear)
    assert not total.unexpected


@given(NAMES, st.data())
def test_taking_one_delivery_away_is_noticed(names: list[str], data: st.DataObject) -> None:
    if not names:
        return
    gone = data.draw(st.sampled_from(names))
    total = account(names, set(names), [name for name in names if name != gone])
    assert total.lost == (gone,)


@given(NAMES, NAMES)
def test_the_order_of_what_comes_out_does_not_matter(names: list[str], out: list[str]) -> None:
    assert account(names, set(names), out) == account(names[::-1], set(names), out[::-1])


def test_a_clean_end_confirms_what_was_taken_and_not_what_was_on_its_way() -> None:
    assert known_confirmed(["a", "b", "c"], (), 2, 0) == {"a", "b"}


def test_refused_messages_are_not_among_the_confirmed() -> None:
    assert known_confirmed(["a", "b", "c"], {"a"}, 2, 0) == {"b", "c"}


def test_a_line_with_messages_left_says_of_none_that_it_is_confirmed() -> None:
    assert known_confirmed(["a", "b", "c"], (), 2, 1) == set()
