"""What comes, and is noted; with a broker it is in tests/broker."""

import time
from unittest.mock import Mock, call

import pytest

from common.amqp.connection import State
from common.message import Message
from consumer.delivery import Delivery
from consumer.prefetch import SHORT
from consumer.settings import ConsumerSettings
from consumer.verify.ledger import Ledger
from consumer.verify.receiver import Receiver
from consumer.verify.topology import temporary
from tests.processes import until
from tests.unit.conftest import Loop

BODY = b"as it was sent"


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    for _ in range(3):
        ledger.send(0.0)
    return ledger


@pytest.fixture
def cancelled() -> list[str]:
    return []


@pytest.fixture
def receiver(process: Loop, ledger: Ledger, cancelled: list[str]) -> Receiver:
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    return Receiver(
        process,
        settings,
        temporary("jobs", "0a"),
        body=BODY,
        ledger=ledger,
        on_cancelled=lambda: cancelled.append("cancelled"),
    )


@pytest.mark.parametrize(
    ("message_id", "body", "handled"),
    [
        ("jobs.verify.0a-2", BODY, 1),
        ("jobs.verify.0a-2", BODY + b"!", 0),
        ("jobs.verify.0b-2", BODY, 0),
        (None, BODY, 0),
    ],
)
def test_only_a_message_of_this_run_that_is_whole_counts(
    receiver: Receiver, ledger: Ledger, message_id: str | None, body: bytes, handled: int
) -> None:
    """Anything else is nobody's, and a changed one is lost."""
    receiver._handle(Message(body, message_id=message_id))
    receiver._settle()
    assert ledger.handled == handled


def test_more_is_sent_ahead_once_the_first_was_handled(receiver: Receiver) -> None:
    """As to a consumer: one at a time would measure the way to the broker and back."""
    subscription = receiver._subscription
    subscription.connection.state = State.OPEN
    subscription.connection._channel = channel = Mock()
    subscription.opened(channel)
    subscription._prefetch.delivered(0, len(BODY))
    subscription._prefetch.arrived([len(BODY)], time.monotonic())
    receiver._workers.hand_over([Delivery(channel, 1, Message(BODY))])
    receiver._workers.start()
    until(lambda: receiver._workers._done, "it is handled")
    receiver._settle()
    assert channel.basic_qos.call_args_list == [call(prefetch_count=SHORT - 1)]


def test_without_a_connection_it_is_cancelled_at_once(receiver: Receiver, cancelled: list[str]) -> None:
    """Nobody waits for a broker that is away."""
    receiver.cancel()
    assert cancelled == ["cancelled"]
