"""How deliveries are let come, and no more of them."""

from itertools import islice
from typing import Any
from unittest.mock import Mock

import pytest
from pika import BasicProperties

from consumer.intake import PROPERTIES_WEIGHT, SINGLE_AFTER, Intake, consumer_tags
from tests.unit.conftest import Loop
from tests.unit.origins import received


class Broker:
    """In the place of a channel: writes down what the broker would hear, and answers when a test says so."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.answers: list[Any] = []
        self.connection = self

    def basic_qos(self, prefetch_count: int, callback: Any = None) -> None:
        """How many may come to the next consumer."""
        self._hear(f"qos {prefetch_count}", callback)

    def consume(self, channel: object, queue: str, consumer_tag: str, _on_deliveries: object, _: object) -> None:
        """By this name."""
        assert channel is self
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
def broker() -> Any:
    return Broker()


@pytest.fixture
def on_cancelled() -> Mock:
    return Mock()


@pytest.fixture
def intake(process: Loop, broker: Any, on_cancelled: Mock) -> Intake:
    """Which was opened and widened."""
    made = Intake(process, "jobs", Mock(), on_cancelled)
    assert not made.cancelled
    made.widen(1)
    made.cancel()
    assert not made.cancelling
    made.consume(broker)
    made.widen(0)
    made.widen(63)
    return made


def test_a_wider_prefetch_is_another_consumer_of_the_channel(intake: Intake, broker: Broker) -> None:
    """Each with its own part of the prefetch."""
    assert broker.heard == ["consume jobs 000001", "qos 63", "consume jobs 000002"]
    assert not intake.cancelled


def test_a_cancel_is_sent_behind_all_that_was_on_its_way(intake: Intake, broker: Broker, on_cancelled: Mock) -> None:
    """What pika would reject has come before the answer to the question that goes first."""
    del broker.heard[:]
    intake.cancel()
    intake.cancel()
    intake.widen(1)
    assert broker.heard == ["qos 1"]
    broker.answer()
    assert broker.heard == ["qos 1", "cancel 000002", "cancel 000001"], "or a single active one has a successor"
    assert intake.cancelling
    on_cancelled.assert_not_called()
    broker.answer()
    on_cancelled.assert_called_once_with()
    assert intake.cancelled
    assert not intake.cancelling


def test_a_cancelled_intake_does_nothing_until_it_consumes_again(intake: Intake, broker: Any) -> None:
    """With the prefetch of 1 that it left; pika takes no name a second time on a channel."""
    intake.cancel()
    broker.answer()
    broker.answer()
    del broker.heard[:]
    intake.widen(1)
    intake.cancel()
    assert broker.heard == []
    intake.consume(broker)
    assert broker.heard == ["consume jobs 000003"]
    assert not intake.cancelled


@pytest.mark.parametrize("answered", [0, 1])
def test_replies_on_a_lost_channel_are_ignored(
    intake: Intake, broker: Broker, on_cancelled: Mock, answered: int
) -> None:
    """To either of the two requests of a cancel."""
    intake.cancel()
    for _ in range(answered):
        broker.answer()
    intake.lost()
    intake.consume(other := Broker())  # type: ignore[arg-type]
    del broker.heard[:]
    broker.answer()
    assert broker.heard == []
    assert not intake.cancelling
    assert not intake.cancelled
    on_cancelled.assert_not_called()
    intake.cancel()
    other.answer()
    assert other.heard == ["consume jobs 000003", "qos 1", "cancel 000003"], "the consumers of the lost one are gone"


class Consuming:
    """In the place of a channel of a connection: keeps who is to get what comes."""

    def __init__(self) -> None:
        self.connection = self
        self.on_deliveries: Any = None

    def consume(self, _channel: object, _queue: str, _consumer_tag: str, on_deliveries: Any, _: object) -> None:
        """Here."""
        self.on_deliveries = on_deliveries


def came(*tags: int) -> list[Any]:
    return [(tag, received(BasicProperties(message_id=f"m{tag}")), b"x" * tag, tag == 2) for tag in tags]


@pytest.fixture
def on_turn() -> Mock:
    return Mock()


@pytest.fixture
def channel() -> Any:
    return Consuming()


@pytest.fixture
def receiving(process: Loop, channel: Any, on_turn: Mock) -> Intake:
    """Which has received three."""
    made = Intake(process, "jobs", on_turn, Mock())
    made.consume(channel)
    channel.on_deliveries(channel, came(1, 2))
    channel.on_deliveries(channel, came(3))
    return made


def turn(process: Loop) -> None:
    over: list[bool] = []
    process.call_behind(lambda: over.append(True))
    process.turn(lambda: over, "the turn is over")


@pytest.mark.usefixtures("receiving")
def test_all_deliveries_of_a_turn_are_handed_over_at_once(process: Loop, on_turn: Mock) -> None:
    """Behind all that it read."""
    on_turn.assert_not_called()
    turn(process)
    on_turn.assert_called_once_with()


def test_deliveries_behind_a_hand_over_have_their_own(
    process: Loop, receiving: Intake, channel: Any, on_turn: Mock
) -> None:
    """Or it would wait for the next that comes."""
    receiving.take()
    channel.on_deliveries(channel, came(4))
    turn(process)
    assert on_turn.call_count == 2


def test_each_delivery_is_taken_once_with_its_channel_and_its_size(receiving: Intake, channel: Any) -> None:
    """In the order in which they came; properties count beside the body."""
    deliveries, sizes = receiving.take()
    assert [
        (each.channel, each.tag, each.message.message_id, each.message.body, each.redelivered) for each in deliveries
    ] == [(channel, tag, f"m{tag}", b"x" * tag, tag == 2) for tag in (1, 2, 3)]
    assert sizes == [PROPERTIES_WEIGHT * len(properties) + tag for tag, properties, *_ in came(1, 2, 3)]
    assert receiving.take() == ([], [])


def test_properties_are_not_decoded_until_somebody_asks(receiving: Intake) -> None:
    """An empty handler asks for none, and they are a fifth of what a delivery costs."""
    assert [each.message._own for each in receiving.take()[0]] == [None, None, None]


def test_buffered_deliveries_of_a_lost_channel_are_dropped(receiving: Intake) -> None:
    """The broker has requeued them."""
    receiving.lost()
    assert receiving.take() == ([], [])
    assert not receiving.cancelled


def test_consumer_tags_are_short_and_rise_as_texts_and_none_comes_twice() -> None:
    names = list(islice(consumer_tags(), 2000))
    assert sorted(set(names)) == names
    assert {len(name) for name in names} == {6}


def test_a_second_consumer_that_gets_nothing_tells_of_a_single_active_one(process: Loop, channel: Any) -> None:
    """Unless it brought something, however late."""
    intake = Intake(process, "jobs", Mock(), Mock())
    channel.basic_qos = Mock()
    intake.consume(channel)
    first = channel.on_deliveries
    first(channel, came(*range(1, 2 * SINGLE_AFTER)))
    assert not intake.single, "there is no second"
    intake.widen(4)
    second = channel.on_deliveries
    first(channel, came(*range(1, SINGLE_AFTER)))
    assert not intake.single
    first(channel, came(1))
    assert intake.single
    second(channel, came(1))
    assert not intake.single
    intake.widen(60)
    first(channel, came(*range(1, 2 * SINGLE_AFTER)))
    assert not intake.single, "a third may wait for its turn"
