"""What came, taken in one go."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from pika import BasicProperties, spec

from common.envelope import Received
from consumer.acks import Unsettled
from consumer.arrivals import Arrivals
from tests.unit.common.test_envelope import received


class Turn:
    """In the place of a process: keeps what is to be called behind the turn."""

    def __init__(self) -> None:
        self.behind: list[Callable[[], None]] = []

    def call_behind(self, function: Callable[[], None]) -> None:
        """Later."""
        self.behind.append(function)


def properties(message_id: str, **headers: str) -> Received:
    return received(BasicProperties(message_id=message_id, headers=headers))


@pytest.fixture
def turn() -> Any:
    return Turn()


@pytest.fixture
def unsettled() -> Unsettled:
    return Unsettled()


@pytest.fixture
def hand_on() -> Mock:
    return Mock()


@pytest.fixture
def arrivals(turn: Any, unsettled: Unsettled, hand_on: Mock) -> Arrivals:
    """Three of them."""
    made = Arrivals(turn, unsettled, hand_on)
    for tag in (1, 2, 3):
        made.add(Mock(), spec.Basic.Deliver("c", tag), properties(f"m{tag}"), b"x" * tag)
    return made


def test_one_hand_over_is_for_all_of_a_turn(arrivals: Arrivals, turn: Any, hand_on: Mock) -> None:
    """And the next one for what comes behind it."""
    assert turn.behind == [hand_on]
    arrivals.take()
    arrivals.add(Mock(), spec.Basic.Deliver("c", 4), properties("m4"), b"")
    assert turn.behind == [hand_on, hand_on]


def test_each_is_taken_once_and_counted(arrivals: Arrivals, unsettled: Unsettled) -> None:
    """With what pika gave, in its order."""
    deliveries, sizes = arrivals.take()
    assert [(each.tag, each.message.message_id, each.message.body) for each in deliveries] == [
        (1, "m1", b"x"),
        (2, "m2", b"xx"),
        (3, "m3", b"xxx"),
    ]
    assert sizes == [len(properties("m1").encoded) + length for length in (1, 2, 3)]
    assert (len(unsettled), unsettled.size) == (3, sum(sizes))
    assert arrivals.take() == ([], [])
    assert len(unsettled) == 3


def test_properties_count_beside_the_body_and_are_not_decoded(
    turn: Any, unsettled: Unsettled, hand_on: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long ones fill the memory as well."""
    came, arrivals = properties("m", long="x" * 1000), Arrivals(turn, unsettled, hand_on)
    arrivals.add(Mock(), spec.Basic.Deliver("c", 1), came, b"body")
    monkeypatch.setattr(BasicProperties, "decode", Mock(side_effect=AssertionError("decoded")))
    assert arrivals.take()[1] == [4 + len(came.encoded)]


def test_unread_they_need_no_memory_and_count_all_the_same(arrivals: Arrivals, unsettled: Unsettled) -> None:
    """They are to be settled, too."""
    assert [(each.tag, each.message.body) for each in arrivals.take_unread()] == [(1, b""), (2, b""), (3, b"")]
    assert (len(unsettled), unsettled.size) == (3, 0)
    assert arrivals.take() == ([], [])


def test_lost_they_are_gone(arrivals: Arrivals, unsettled: Unsettled) -> None:
    """The broker has them."""
    arrivals.clear()
    assert arrivals.take() == ([], [])
    assert len(unsettled) == 0
