"""The consumer's service while there is no broker; with one it is tested in tests/broker and tests/system."""

import time

import pytest

from common.message import Message
from common.refusal import Kind, Refusal
from common.state import State
from consumer.delivery import Delivery
from consumer.outcome import Park
from consumer.service import ConsumerService
from consumer.settings import ConsumerSettings
from tests.unit.conftest import Loop

pytestmark = pytest.mark.usefixtures("own_metrics")


@pytest.fixture
def service(process: Loop) -> ConsumerService:
    values = {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "mq_backoff_max": "50ms", "consumer_idle_exit": "1ms"}

    def handle(message: Message) -> None:
        raise AssertionError(f"{message} of no broker")

    return ConsumerService(process, ConsumerSettings.model_validate(values), handle)


def test_it_lives_and_is_not_ready_without_a_broker(process: Loop, service: ConsumerService) -> None:
    """Both of its connections say why."""
    service.start()
    process.turn(lambda: str(service.reasons()).count("nothing listens there") == 2, "two refusals")
    assert service.problems() == []
    assert not service.done()
    service.close()
    assert service.closed()


def test_an_outage_is_not_idleness(process: Loop, service: ConsumerService) -> None:
    """Messages may be waiting behind it."""
    service.start()
    process.turn(lambda: "nothing listens there" in str(service.reasons()), "a refusal")
    service.tick(time.monotonic() + 1000)
    service.tick(time.monotonic() + 2000)
    assert not service.done()
    service.close()


def test_a_loss_takes_work_and_copies_away(service: ConsumerService) -> None:
    """The broker delivers both again."""
    waits, failed = (Delivery(object(), tag, Message(b"x")) for tag in (1, 2))
    service._workers.hand_over([waits])
    service._copier.failed([(failed, Park("x"))])
    service._subscription.lost(Refusal(Kind.TCP, "gone"))
    assert service._workers.take_back() == []
    assert len(service._copier.publisher) == 0


def test_a_stop_in_an_outage_is_done_at_once(process: Loop, service: ConsumerService) -> None:
    """The broker has all that was not settled; nothing is left over."""
    service.start()
    process.turn(lambda: service._subscription.connection.state is State.BACKING_OFF, "a refusal")
    process.stopping = True
    service.stop()
    assert service.done()
    service.close()
    assert service.summary() == (0, {"handled": 0, "retried": 0, "parked": 0, "handed_back": 0})
