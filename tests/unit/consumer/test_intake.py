"""How deliveries are let come, and no more of them."""

from collections.abc import Callable
from itertools import islice
from typing import Any
from unittest.mock import Mock

import pytest
from pika import BasicProperties, spec

from common.wire.properties import Received
from consumer.acks import Unsettled
from consumer.intake import Arrivals, Intake, consumer_tags
from tests.unit.common.wire.test_properties import received
from tests.unit.conftest import Loop


class Told:
    """In the place of a channel: writes down what the broker would hear, and answers when told to."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.answers: list[Any] = []

    def basic_qos(self, prefetch_count: int, callback: Any = None) -> None:
        """How many may come to the next consumer."""
        self._hear(f"qos {prefetch_count}", callback)

    def basic_consume(self, queue: str, _on_message: object, consumer_tag: str) -> None:
        """By this name."""
        self.heard.append(f"consume {queue} {consumer_tag}")

    def basic_cancel(self, tag: str, callback: Any = None) -> None:
        """Of one consumer."""
        self._hear(f"cancel {tag}", callback)

    def answer(self) -> None:
        """The next question that wants one."""
        self.answers.pop(0)("ok")

    def _hear(self, text: str, callback: Any) -> None:
        self.heard.append(text)
        self.answers += [callback] * bool(callback)


@pytest.fixture
def told() -> Any:
    return Told()


@pytest.fixture
def on_shut() -> Mock:
    return Mock()


@pytest.fixture
def intake(process: Loop, told: Any, on_shut: Mock) -> Intake:
    """Which was opened and widened."""
    made = Intake(process, "jobs", lambda: None, on_shut)
    assert not made.shut
    made.widen(1)
    made.close()
    assert not made.shutting
    made.open(told)
    made.widen(0)
    made.widen(63)
    return made


def test_more_come_by_a_further_consumer(intake: Intake, told: Told) -> None:
    """Each with its own part of the prefetch."""
    assert told.heard == ["consume jobs 000001", "qos 63", "consume jobs 000002"]
    assert not intake.shut


def test_a_cancel_is_sent_behind_all_that_was_on_its_way(intake: Intake, told: Told, on_shut: Mock) -> None:
    """What pika would reject has come before the answer to the question that goes first."""
    del told.heard[:]
    intake.close()
    intake.close()
    intake.widen(1)
    assert told.heard == ["qos 1"]
    told.answer()
    assert told.heard == ["qos 1", "cancel 000001", "cancel 000002"]
    assert intake.shutting
    on_shut.assert_not_called()
    told.answer()
    on_shut.assert_called_once_with()
    assert intake.shut
    assert not intake.shutting


def test_it_can_be_opened_again(intake: Intake, told: Any) -> None:
    """With the prefetch of 1 that it left; pika takes no name a second time on a channel."""
    intake.close()
    told.answer()
    told.answer()
    del told.heard[:]
    intake.open(told)
    assert told.heard == ["consume jobs 000003"]
    assert not intake.shut


def test_answers_of_a_channel_that_is_gone_are_not_listened_to(intake: Intake, told: Told, on_shut: Mock) -> None:
    """Whichever it waited for."""
    intake.close()
    intake.lost()
    intake.open(Told())  # type: ignore[arg-type]
    del told.heard[:]
    told.answer()
    assert told.heard == []
    assert not intake.shutting
    on_shut.assert_not_called()


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


def test_they_are_short_and_rise_as_texts_and_none_comes_twice() -> None:
    names = list(islice(consumer_tags(), 2000))
    assert sorted(set(names)) == names
    assert {len(name) for name in names} == {6}
