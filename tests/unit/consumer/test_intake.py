"""How deliveries are let come, and no more of them."""

from typing import Any
from unittest.mock import Mock

import pytest

from consumer.intake import Intake
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
