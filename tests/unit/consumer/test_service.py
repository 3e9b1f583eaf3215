"""The consumer's service while there is no broker; with one it is tested in tests/broker and tests/system."""

import time
from threading import Event

import pytest

from common.amqp.connection import State
from common.amqp.errors import BrokerError, Kind
from common.message import Message
from consumer.acks import LINGER
from consumer.delivery import Delivery
from consumer.outcome import Park
from consumer.service import ConsumerService
from consumer.settings import ConsumerSettings
from consumer.settle import settle
from tests.unit.conftest import PATIENCE, Loop

SETTINGS = ConsumerSettings.model_validate(
    {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "mq_backoff_max": "50ms", "consumer_idle_exit": "1ms"}
)

pytestmark = pytest.mark.usefixtures("own_metrics")


@pytest.fixture
def service(process: Loop) -> ConsumerService:
    def handle(message: Message) -> None:
        raise AssertionError(f"{message} of no broker")

    return ConsumerService(process, SETTINGS, handle)


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
    process.turn(lambda: "nothing listens there" in str(service.reasons()), "a broker_error")
    service.tick(time.monotonic() + 1000)
    service.tick(time.monotonic() + 2000)
    assert not service.done()
    service.close()


def test_whether_too_little_is_handled_is_asked_with_each_tick(
    service: ConsumerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that hangs settles nothing that would ask."""
    asked: list[int] = []
    monkeypatch.setattr(service._subscription, "tick", lambda waiting, _: asked.append(waiting))
    service._workers.hand_over([Delivery(object(), tag, Message(b"x")) for tag in (1, 2)])
    service.tick(1.0)
    assert asked == [2]


def test_a_handler_of_a_lost_connection_is_no_idleness(process: Loop) -> None:
    """Its message may be with another consumer meanwhile; it must not be cut."""
    began, go_on = Event(), Event()

    def handle(_: Message) -> None:
        began.set()
        go_on.wait(PATIENCE)

    service = ConsumerService(process, SETTINGS.model_copy(update={"consumer_idle_exit": 1.0}), handle)
    service._workers.start()
    service._workers.hand_over([Delivery(object(), 1, Message(b"x"))])
    assert began.wait(PATIENCE)
    service._subscription.connection.state = State.OPEN
    service.tick(1e9)
    assert not service._stopping
    go_on.set()
    process.turn(lambda: not service._workers.busy, "it ends")
    service.tick(1e9 + 1.0)
    assert service._stopping


def test_a_loss_takes_work_and_copies_away(service: ConsumerService) -> None:
    """The broker delivers both again."""
    waits, failed = (Delivery(object(), tag, Message(b"x")) for tag in (1, 2))
    service._workers.hand_over([waits])
    assert service._workers.waiting == 1
    service._retry.publish(settle([(failed, Park("x"), 0.0)], failed.channel, service._topology, 0.0).copies)
    service._subscription.lost(BrokerError(Kind.TCP, "gone"))
    assert service._workers.take_back() == []
    assert len(service._retry.publisher) == 0


def test_its_end_is_not_before_the_broker_had_time_for_the_last_acknowledgement(service: ConsumerService) -> None:
    """Whatever else is settled, or the broker would deliver again what was handled."""
    subscription, acks = service._subscription, service._subscription._acks
    service._stopping = subscription.cancelled = True
    subscription.connection.state = State.OPEN
    acks._told_at = time.monotonic()
    assert not service.done()
    acks._told_at -= LINGER
    assert service.done()


def test_a_handler_that_runs_at_a_stop_may_end_though_its_channel_is_gone(process: Loop) -> None:
    """Its message comes again, and is the better for a whole first handling. At the deadline it is left over."""
    began, go_on = Event(), Event()

    def handle(_: Message) -> None:
        began.set()
        go_on.wait(PATIENCE)

    service = ConsumerService(process, SETTINGS, handle)
    service._workers.start()
    service._workers.hand_over([Delivery(object(), 1, Message(b"x"))])
    assert began.wait(PATIENCE)
    service._subscription.lost(BrokerError(Kind.TCP, "gone"))
    service.stop()
    assert not service.done()
    assert service.summary()[0] == 1
    go_on.set()
    process.turn(service.done, "it ends")
    assert service.summary()[0] == 0


def test_a_stop_in_an_outage_is_done_at_once(process: Loop, service: ConsumerService) -> None:
    """The broker has all that was not settled; nothing is left over."""
    service.start()
    process.turn(lambda: service._subscription.connection.state is State.BACKING_OFF, "a broker_error")
    process.stopping = True
    service.stop()
    assert service.done()
    service.close()
    assert service.summary() == (0, {"handled": 0, "retried": 0, "parked": 0, "handed_back": 0})
