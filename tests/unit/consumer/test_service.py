"""The consumer's service while there is no broker; with one it is tested in tests/broker and tests/system."""

import time
from collections.abc import Callable
from threading import Event
from typing import Any
from unittest.mock import MagicMock, Mock, call

import pytest
from pika import BasicProperties
from prometheus_client import REGISTRY

from common.amqp.connection import State
from common.amqp.errors import BrokerError, Kind
from common.message import Message
from common.process.run import Process
from consumer.delivery import Delivery
from consumer.outcome import ACK, Park, Reject, Retry
from consumer.retry import RetryPublisher
from consumer.service import ConsumerService
from consumer.settings import ConsumerSettings
from consumer.settle import settle
from tests.unit.conftest import PATIENCE, Loop
from tests.unit.origins import received

SETTINGS = ConsumerSettings.model_validate(
    {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "mq_backoff_max": "50ms", "consumer_idle_exit": "1ms"}
)

pytestmark = pytest.mark.usefixtures("own_metrics")


@pytest.fixture
def service(process: Loop) -> ConsumerService:
    def handle(message: Message) -> None:
        raise AssertionError(f"{message} of no broker")

    return ConsumerService(process, SETTINGS, handle)


def test_a_consumer_without_a_broker_is_live_and_not_ready(process: Loop, service: ConsumerService) -> None:
    """Both of its connections say why."""
    service.start()
    process.turn(lambda: str(service.reasons()).count("nothing listens there") == 2, "two refusals")
    assert service.problems() == []
    assert all(thread.is_alive() for thread in service._workers._threads)
    assert not service.done()
    service.close()
    assert service.closed()


def test_a_lost_channel_takes_waiting_deliveries_and_copies_away(service: ConsumerService) -> None:
    """The broker delivers both again."""
    waits, failed = (Delivery(object(), tag, Message(b"x")) for tag in (1, 2))
    service._workers.hand_over([waits])
    assert service._workers.waiting == 1
    service._retry.publish(settle([(failed, Park("x"), 0.0)], failed.channel, service._topology, 0.0).copies)
    service._subscription.lost(BrokerError(Kind.TCP, "gone"))
    assert service._workers.take_back() == []
    assert len(service._retry.publisher) == 0


class Consuming:
    """A service with a channel, workers that run `handle`, and the broker's side of it."""

    def __init__(self, process: Process, handle: Callable[[Message], None]) -> None:
        self.service = ConsumerService(process, SETTINGS, handle)
        self.retry = self.service._retry = Mock(RetryPublisher, totals={})
        self.channel: Any = Mock()  # pika's
        self.service._subscription.connection.state = State.OPEN
        self.service._subscription.opened(self.channel)
        self.service._workers.start()

    def come(self, tag: int, body: bytes = b"x", age: int = 0) -> None:
        properties = received(BasicProperties(timestamp=int(time.time()) - age))
        self.channel.connection.consume.call_args.args[3](self.channel, [(tag, properties, body, False)])


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_handled_delivery_is_acknowledged_counted_and_measured(process: Loop) -> None:
    """And no publisher is asked for anything."""
    names = "consumer_handler_seconds_count", "consumer_message_age_seconds_count", "consumer_message_age_seconds_sum"
    before = [metric("consumer_settled_total", outcome="ack"), *map(metric, names)]
    consuming = Consuming(process, lambda _: None)
    consuming.come(1, age=60)
    process.turn(lambda: consuming.channel.basic_ack.call_args_list, "it is acknowledged")
    consuming.channel.basic_ack.assert_called_once_with(1, multiple=True)
    acked, handled, aged, age = [metric("consumer_settled_total", outcome="ack"), *map(metric, names)]
    assert (acked, handled, aged) == (before[0] + 1, before[1] + 1, before[2] + 1)
    assert 60 <= age - before[3] < 60 + PATIENCE
    assert consuming.service.summary() == (0, {"handled": 1})
    consuming.retry.publish.assert_not_called()


def test_a_failed_delivery_is_published_as_a_copy_and_not_acknowledged(process: Loop) -> None:
    """It is by the copy's confirm; that its handler ended counts for the prefetch now."""

    def handle(_: Message) -> None:
        raise Reject

    consuming = Consuming(process, handle)
    consuming.come(1)
    process.turn(lambda: consuming.retry.publish.call_args_list, "it is published")
    [[[copy]]] = [given.args for given in consuming.retry.publish.call_args_list]
    assert (copy.delivery.tag, copy.queue) == (1, "jobs.dead")
    consuming.channel.basic_ack.assert_not_called()
    assert consuming.service._subscription._prefetch.finished == 1
    assert consuming.service.summary() == (1, {"handled": 0})


def test_the_gauges_show_what_the_workers_do(service: ConsumerService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service._workers, "longest", lambda now: 7.0 if now <= time.monotonic() else 0.0)
    old = Message(b"x", properties=BasicProperties(timestamp=int(time.time()) - 60))
    service._workers.hand_over([Delivery(object(), 1, old)])
    assert metric("consumer_workers") == SETTINGS.consumer_workers
    assert metric("consumer_handler_timeout_seconds") == SETTINGS.consumer_handler_timeout
    assert metric("consumer_handler_running_seconds") == 7.0
    assert 60 <= metric("consumer_oldest_message_seconds") < 60 + PATIENCE


@pytest.fixture
def mocked(service: ConsumerService) -> Any:
    """The service, open, idle for 0 s at 100.0, with all that it owns mocked."""
    made: Any = service
    made._workers = Mock(waiting=3, busy=0, count=1)
    made._retry, made._requeue = Mock(), MagicMock()
    made._requeue.__bool__.return_value = False
    made._subscription = Mock(unsettled=0, cancelled=True, active_at=100.0, one_at_a_time=False)
    made._subscription.connection.state = State.OPEN
    made._idle_exit = 10.0
    return made


def test_every_tick_looks_after_all_parts(mocked: Any) -> None:
    """Whether too little is handled, too: a handler that hangs settles nothing that would ask."""
    mocked.tick(105.0)
    assert mocked._retry.tick.call_args_list == mocked._requeue.tick.call_args_list == [call(105.0)]
    assert mocked._subscription.tick.call_args_list == [call(3, 105.0)]


@pytest.mark.parametrize("requeued", [False, True])
def test_consuming_goes_on_once_all_is_requeued(mocked: Any, requeued: bool) -> None:
    """Or what goes back would come again before it is gone."""
    mocked._requeue.__bool__.return_value = requeued
    mocked.tick(105.0)
    assert mocked._subscription.resume.call_count == 1 - requeued


def test_an_exit_when_idle_is_a_stop_once(mocked: Any) -> None:
    mocked.tick(109.9)
    mocked._subscription.cancel.assert_not_called()
    for _ in range(2):
        mocked.tick(110.0)
    mocked._subscription.cancel.assert_called_once_with()
    assert mocked._stopping


def test_without_an_idle_exit_a_consumer_waits_for_ever(mocked: Any) -> None:
    mocked._idle_exit = None
    mocked.tick(1e9)
    mocked._subscription.cancel.assert_not_called()


@pytest.mark.parametrize("active", [{"unsettled": 1}, {"busy": 1}, {"state": State.CONNECTING}])
def test_work_and_outages_are_no_idleness(mocked: Any, active: dict[str, Any]) -> None:
    """Messages may be waiting behind an outage; a handler whose connection is lost must not be cut."""
    change(mocked, **active)
    mocked.tick(1000.0)
    change(mocked, unsettled=0, busy=0, state=State.OPEN)
    mocked.tick(1009.9)
    mocked._subscription.cancel.assert_not_called()
    mocked.tick(1010.0)
    mocked._subscription.cancel.assert_called_once_with()


def change(mocked: Any, unsettled: int = 0, busy: int = 0, state: State = State.OPEN, **more: Any) -> None:
    mocked._subscription.unsettled, mocked._workers.busy = unsettled, busy
    mocked._subscription.connection.state = state
    mocked._subscription.configure_mock(**more)


@pytest.mark.parametrize(
    ("parts", "done"),
    [
        ({}, True),
        ({"cancelled": False}, False),
        ({"unsettled": 1}, False),
        ({"flushed.return_value": False}, False),
        ({"busy": 1}, False),
        ({"state": State.BACKING_OFF, "cancelled": False, "unsettled": 1}, True),
        ({"state": State.BACKING_OFF, "busy": 1}, False),
    ],
)
def test_a_stop_is_done_when_all_is_settled_and_acknowledged_or_cannot_be(
    mocked: Any, parts: dict[str, Any], done: bool
) -> None:
    """A handler of a lost connection may end, too. Without a stop it is never done."""
    change(mocked, **parts)
    assert not mocked.done()
    mocked.stop()
    assert mocked.done() is done


@pytest.mark.parametrize("stopping", [True, False])
def test_what_nobody_began_with_is_requeued_by_a_stop_and_in_part_by_a_narrowing(mocked: Any, stopping: bool) -> None:
    if stopping:
        mocked.stop()
    mocked._on_cancelled([])
    assert mocked._requeue.method_calls == [call.on_stop([]) if stopping else call.on_narrowing([], 1)]


AWAY = Retry(5.0, "E: away", outage=True)


def fail(mocked: Any, count: int, outcome: Any = AWAY) -> None:
    """So many different messages of the current channel, settled together."""
    channel = mocked._subscription.channel
    messages = (Message(b"x", message_id=f"{outcome}{tag}") for tag in range(count))
    done = [(Delivery(channel, tag, each), outcome, 0.1) for tag, each in enumerate(messages)]
    mocked._workers.outcomes.return_value = done
    mocked._settle()


def test_an_outage_pauses_before_it_settles_and_says_so_once(mocked: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """An acknowledgement would bring the next delivery. `/readyz` has a note: no pod is the better for a restart."""
    fail(mocked, SETTINGS.consumer_breaker or 0)
    assert [name for name, *_ in mocked._subscription.method_calls] == ["pause", "acknowledge"]
    [[copies]] = [given.args for given in mocked._retry.publish.call_args_list]
    assert {copy.counts_as for copy in copies} == {"retried"}
    fail(mocked, 1)
    assert mocked._retry.publish.call_args.args[0][0].counts_as == "postponed"
    assert mocked._subscription.one_at_a_time
    assert capfd.readouterr().out.count("breaker opened") == 1
    assert mocked.notes() == ["messages are tried one at a time, since all fail: E: away"]
    assert REGISTRY.get_sample_value("consumer_breaker_open") == 1
    mocked._on_cancelled([])
    mocked._requeue.on_narrowing.assert_called_once_with([], 0)


def test_a_success_ends_the_outage(mocked: Any) -> None:
    fail(mocked, SETTINGS.consumer_breaker or 0)
    fail(mocked, 1, ACK)
    assert not mocked._subscription.one_at_a_time
    assert mocked.notes() == []
    assert REGISTRY.get_sample_value("consumer_breaker_open") == 0


def test_in_an_outage_the_next_try_waits_for_its_time_and_nothing_is_idle(mocked: Any) -> None:
    fail(mocked, SETTINGS.consumer_breaker or 0)
    mocked._breaker.try_at = 500.0
    mocked.tick(499.0)
    mocked._subscription.resume.assert_not_called()
    assert not mocked._stopping, "what waits in the queue is not tried just now"
    mocked.tick(500.0)
    mocked._subscription.resume.assert_called_once_with()


def test_a_lost_channel_is_lost_for_all_parts(mocked: Any) -> None:
    mocked._on_lost()
    for part in (mocked._workers.take_back, mocked._retry.lost, mocked._requeue.lost):
        part.assert_called_once_with()


def test_a_handler_over_its_time_out_is_a_problem(mocked: Any) -> None:
    mocked._workers.longest.return_value = SETTINGS.consumer_handler_timeout
    assert mocked.problems() == []
    mocked._workers.longest.return_value = SETTINGS.consumer_handler_timeout + 1
    assert mocked.problems() == ["a handler has run for 301s, over CONSUMER_HANDLER_TIMEOUT"]


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
    assert service.summary() == (0, {"handled": 0, "retried": 0, "postponed": 0, "parked": 0, "handed_back": 0})
