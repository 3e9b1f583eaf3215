"""The consumer's service while there is no broker; with one it is tested in tests/broker and tests/system."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any
from unittest.mock import MagicMock, Mock, call

import pytest
import structlog
from pika import BasicProperties
from prometheus_client import REGISTRY

from common.amqp.connection import State
from common.amqp.errors import BrokerError, Kind, broker_said
from common.amqp.topology import DELIVERY_LIMIT, Topology
from common.message import Message
from common.process.run import Process
from consumer.coroutines import Coroutines
from consumer.delivery import SUSPECT, Delivery
from consumer.forward import Forward
from consumer.handler import SetUp
from consumer.outcome import ACK, Forwarded, Park, Reject, Retry
from consumer.retry import RetryPublisher
from consumer.service import ConsumerService
from consumer.settings import ConsumerSettings
from consumer.settle import settle
from consumer.subscription import MAX_UNSETTLED_BYTES
from tests.unit.conftest import PATIENCE, Loop
from tests.unit.origins import received

GIVEN = {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "mq_backoff_max": "50ms", "consumer_idle_exit": "1ms"}
SETTINGS = ConsumerSettings.model_validate(GIVEN)

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

    def __init__(self, process: Process, handle: Callable[[Message], object], workers: int = 1) -> None:
        settings = ConsumerSettings.model_validate({**GIVEN, "consumer_workers": workers})
        self.service = ConsumerService(process, settings, handle)
        self.own_retry = self.service._retry
        self.retry = self.service._retry = Mock(RetryPublisher, totals={}, publisher=Mock(reasons=list))
        self.service._subscription.connection.state = State.OPEN
        self.open()
        self.service._workers.start()

    def open(self) -> None:
        self.channel: Any = Mock()  # pika's
        self.service._subscription.opened(self.channel)

    def lose(self, why: str = "gone") -> None:
        """The channel, and open the next one."""
        self.service._subscription.lost(broker_said(why) or BrokerError(Kind.TCP, why))
        self.open()

    def come(self, tag: int, body: bytes = b"x", age: int = 0) -> None:
        self.bring(tag, BasicProperties(timestamp=int(time.time()) - age), body)

    def bring(self, tag: int, properties: BasicProperties, body: bytes, redelivered: bool = False) -> None:
        came = [(tag, received(properties), body, redelivered)]
        self.channel.connection.consume.call_args.args[3](self.channel, came)


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


def test_a_delivery_that_forwards_is_acknowledged_on_the_confirm_and_not_before(process: Loop) -> None:
    """It counts as handled then, once."""
    before = metric("consumer_settled_total", outcome="ack")
    consuming = Consuming(process, lambda _: Forward(b"x", to="out"))
    consuming.come(1)
    process.turn(lambda: consuming.retry.forward.call_args_list, "it is forwarded")
    [[(delivery, outcome, seconds)]] = consuming.retry.forward.call_args.args
    assert outcome == Forwarded((Forward(b"x", to="out"),))
    time.sleep(0.05)  # longer than acknowledgements wait
    process.turn(lambda: True, "a turn")
    consuming.channel.basic_ack.assert_not_called()
    assert metric("consumer_settled_total", outcome="ack") == before
    consuming.own_retry.on_forwarded([(delivery, ACK, seconds)])
    process.turn(lambda: consuming.channel.basic_ack.call_args_list, "it is acknowledged")
    assert metric("consumer_settled_total", outcome="ack") == before + 1
    assert consuming.service.summary() == (0, {"handled": 1})


@pytest.mark.parametrize("then", ["room", "stop", "loss"])
def test_handlers_that_forward_too_much_begin_with_no_more_before_there_is_room(process: Loop, then: str) -> None:
    """What they have not begun with is theirs again, or is requeued by a stop, or is gone with the channel."""
    go, seen = Event(), []

    def handle(message: Message) -> Forward:
        seen.append(message.body)
        go.wait(PATIENCE)
        return Forward(b"x", to="out")

    consuming = Consuming(process, handle)
    service, subscription = consuming.service, consuming.service._subscription
    consuming.retry.forward.side_effect = lambda done: subscription.holds(done[0][0], MAX_UNSETTLED_BYTES)
    subscription._acks.delivered([1, 2, 3], [1, 1, 1])
    service._on_deliveries([Delivery(consuming.channel, tag, Message(b"%d" % tag)) for tag in (1, 2, 3)])
    process.turn(lambda: seen, "the first is handled")
    service._held = service._workers.take_back()  # as when the broker is quicker than the test
    go.set()
    process.turn(lambda: consuming.retry.forward.called, "it is forwarded")
    service._on_deliveries([Delivery(consuming.channel, 4, Message(b"4"))])
    service.tick(time.monotonic())
    assert (seen, service._workers.waiting, len(service._held)) == ([b"1"], 0, 3)
    if then == "room":
        subscription.acknowledge([1])
        service.tick(time.monotonic())
        process.turn(lambda: len(seen) > 1, "the next is handled")
        assert seen[1] == b"2"
    elif then == "stop":
        go.clear()
        service.stop()
        service._on_cancelled([])
        assert len(service._requeue) >= 2
    else:
        consuming.lose()
    assert service._held == [] or then == "room"


def test_destinations_that_all_fail_are_an_outage_until_one_confirms(process: Loop) -> None:
    """What is forwarded neither opens nor closes the breaker before the broker has answered."""
    consuming = Consuming(process, lambda _: Forward(b"x", to="out"))
    service = consuming.service
    for number in range(SETTINGS.consumer_breaker or 0):
        assert not service._breaker.open
        delivery = Delivery(consuming.channel, 100 + number, Message(b"%d" % number))
        consuming.own_retry.on_forwarded([(delivery, Retry(5.0, "NotForwarded: full", outage=True), 0.1)])
    assert service._breaker.open
    delivery = Delivery(consuming.channel, 1, Message(b"x"))
    service._subscription._acks.delivered([1], [1])
    service._conclude([(delivery, Forwarded((Forward(b"x", to="out"),)), 0.1)])
    assert service._breaker.open
    consuming.own_retry.on_forwarded([(delivery, ACK, 0.1)])
    assert not service._breaker.open


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


class Held:
    """A handler that waits for `end`; the error that is set is raised."""

    def __init__(self) -> None:
        self.began: list[bytes] = []
        self.go_on = Event()
        self.error: Exception | None = None

    def __call__(self, message: Message) -> None:
        self.began.append(message.body)
        if message.body == b"held":
            assert self.go_on.wait(PATIENCE)
            if self.error:
                raise self.error


AWAY = Retry(5.0, "E: away", outage=True)
JOBS = Topology("jobs", [5.0])
NAMED = BasicProperties(message_id="m", headers={"tenant": "a"})
AGAIN = BasicProperties(message_id="m", headers={"x-delivery-count": 1, "tenant": "a", "x-acquired-count": 2})


def held(process: Loop, properties: BasicProperties = NAMED, workers: int = 4) -> tuple[Consuming, Held]:
    """A service whose handler runs for a delivery of a channel that is lost meanwhile."""
    handle = Held()
    consuming = Consuming(process, handle, workers)
    consuming.bring(1, properties, b"held")
    process.turn(lambda: handle.began, "it begins")
    consuming.lose()
    return consuming, handle


def turned(process: Loop, consuming: Consuming, tag: int, *came: Any) -> None:
    """So far that what came, and a message behind it, is handled where a handler is free."""
    consuming.bring(tag, *came)
    consuming.bring(tag + 1, BasicProperties(), b"behind")
    acked = consuming.channel.basic_ack.call_args_list
    process.turn(lambda: any(each.args == (tag + 1,) for each in acked), "what is behind it is handled")


@pytest.mark.parametrize("losses", [1, 3])
def test_a_redelivery_of_what_still_runs_waits_and_takes_its_success(process: Loop, losses: int) -> None:
    """It runs once, though the connection is lost again while it waits; the newest delivery is acknowledged."""
    consuming, handle = held(process)
    turned(process, consuming, 1, AGAIN, b"held", True)
    for _ in range(losses - 1):
        consuming.lose()
        turned(process, consuming, 1, AGAIN, b"held", True)
    assert handle.began.count(b"held") == 1
    assert consuming.service._subscription.unsettled == 1
    handle.go_on.set()
    process.turn(lambda: consuming.service._subscription.unsettled == 0, "it is acknowledged")
    assert handle.began.count(b"held") == 1
    assert call(1, multiple=True) in consuming.channel.basic_ack.call_args_list


def test_what_runs_on_after_three_losses_keeps_no_message_from_the_free_handlers(process: Loop) -> None:
    """It is not what kills its process, which would come alone."""
    consuming, handle = held(process)
    worn = BasicProperties(message_id="m", headers={"x-delivery-count": SUSPECT, "tenant": "a"})
    turned(process, consuming, 1, worn, b"held", True)
    assert consuming.channel.basic_qos.call_args_list == [call(prefetch_count=3)], "one more for each free handler"
    handle.go_on.set()


def test_a_redelivery_of_what_still_runs_takes_its_failure(process: Loop) -> None:
    """The copy is of the new delivery, and its confirm acknowledges that."""
    consuming, handle = held(process)
    turned(process, consuming, 1, AGAIN, b"held", True)
    handle.error = Reject("no")
    handle.go_on.set()
    process.turn(lambda: consuming.retry.publish.call_args_list, "it is parked")
    [[[copy]]] = [given.args for given in consuming.retry.publish.call_args_list]
    assert (copy.delivery.channel, copy.delivery.tag, copy.queue) == (consuming.channel, 1, "jobs.dead")
    assert handle.began.count(b"held") == 1


def test_a_redelivery_behind_the_end_of_its_run_takes_the_outcome(process: Loop) -> None:
    """The success of a handler that ended before the broker came back is not thrown away."""
    consuming, handle = held(process)
    handle.go_on.set()
    process.turn(lambda: not consuming.service._workers.busy, "it ends")
    turned(process, consuming, 1, AGAIN, b"held", True)
    process.turn(lambda: consuming.service._subscription.unsettled == 0, "it is acknowledged")
    assert handle.began.count(b"held") == 1
    consuming.bring(3, AGAIN, b"held", True)
    process.turn(lambda: handle.began.count(b"held") == 2, "one run is the outcome of one delivery")


OTHERS = {
    "another body": (AGAIN, b"other", True),
    "another header": (BasicProperties(message_id="m", headers={"tenant": "b"}), b"held", True),
    "another attempt": (BasicProperties(message_id="m", headers={"tenant": "a", "mq-attempt": 2}), b"held", True),
    "another id": (BasicProperties(message_id="n", headers={"tenant": "a"}), b"held", True),
    "another type": (BasicProperties(message_id="m", type="t", headers={"tenant": "a"}), b"held", True),
    "delivered for the first time": (AGAIN, b"held", False),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_message_with_the_same_id_is_handled_by_itself(process: Loop, other: str) -> None:
    """Foreign publishers give one id to several messages: none is acknowledged for the run of another."""
    consuming, handle = held(process)
    consuming.bring(1, *OTHERS[other])
    process.turn(lambda: len(handle.began) == 2, "it begins beside the other")
    handle.go_on.set()
    process.turn(lambda: consuming.service._subscription.unsettled == 0, "it is handled")


def test_equal_messages_without_an_id_have_a_run_each(process: Loop) -> None:
    """Two that nobody can tell apart are two: the first takes the outcome of what runs, and the second runs."""
    consuming, handle = held(process, BasicProperties())
    consuming.bring(1, BasicProperties(), b"held", True)
    consuming.bring(2, BasicProperties(), b"held", True)
    process.turn(lambda: len(handle.began) == 2, "the second begins")
    handle.go_on.set()
    process.turn(lambda: consuming.service._subscription.unsettled == 0, "both are acknowledged")
    assert handle.began == [b"held", b"held"]


def test_the_outcome_of_a_message_without_an_id_is_not_kept(process: Loop) -> None:
    """An equal message may have been published since."""
    consuming, handle = held(process, BasicProperties())
    handle.go_on.set()
    process.turn(lambda: not consuming.service._workers.busy, "it ends")
    consuming.bring(1, BasicProperties(), b"held", True)
    process.turn(lambda: len(handle.began) == 2, "it is handled")


def test_a_message_that_is_lost_again_and_again_while_it_runs_is_parked(process: Loop) -> None:
    """As often as the broker would deliver what kills its consumer. What its handler then ends with is of no matter."""
    consuming, handle = held(process)
    for _ in range(DELIVERY_LIMIT - 1):
        consuming.bring(1, AGAIN, b"held", True)
        consuming.lose("406 delivery acknowledgement timed out. Timeout value used: 15000 ms")
    consuming.retry.publish.assert_not_called()
    consuming.bring(1, AGAIN, b"held", True)
    process.turn(lambda: consuming.retry.publish.call_args_list, "it is parked")
    [[[copy]]] = [given.args for given in consuming.retry.publish.call_args_list]
    assert (copy.queue, copy.counts_as) == ("jobs.dead", "parked")
    for part in ("20 times", "CONSUMER_HANDLER_TIMEOUT is 5m", "asks for 30m", "15000 ms"):
        assert part in copy.error
    handle.go_on.set()
    process.turn(lambda: not consuming.service._workers.busy, "it ends")
    assert consuming.channel.basic_ack.call_args_list == []


def test_what_is_parked_while_it_runs_never_runs_beside_itself_though_its_copy_is_lost(process: Loop) -> None:
    """The channel may be lost before the copy is confirmed: then the message comes again, and is parked again."""
    consuming, handle = held(process)
    for _ in range(DELIVERY_LIMIT - 1):
        consuming.lose()
    for parked in (1, 2):
        turned(process, consuming, 1, AGAIN, b"held", True)
        copies = [copy for given in consuming.retry.publish.call_args_list for copy in given.args[0]]
        assert [copy.counts_as for copy in copies] == ["parked"] * parked
        consuming.lose()
    assert handle.began.count(b"held") == 1
    handle.go_on.set()


def test_what_is_tried_again_here_never_runs_beside_itself(process: Loop) -> None:
    """The handler has the copy that a full queue refused; the broker delivers the original again."""
    handle = Held()
    consuming = Consuming(process, handle, 4)
    message = Message.with_origin(b"held", received(NAMED))
    [copy] = settle([(Delivery(consuming.channel, 1, message), AWAY, 0.0)], consuming.channel, JOBS, 0.0).copies
    consuming.own_retry.publisher.withdraw = lambda _: [copy]  # type: ignore[method-assign]
    consuming.own_retry._retry_here(0.0)
    process.turn(lambda: handle.began, "it begins")
    consuming.lose()
    turned(process, consuming, 1, AGAIN, b"held", True)
    assert handle.began.count(b"held") == 1
    handle.go_on.set()
    process.turn(lambda: consuming.service._subscription.unsettled == 0, "it is acknowledged")
    assert handle.began.count(b"held") == 1


def test_what_takes_a_message_from_its_handler_is_told(process: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    """In the log, by a metric, and while the handler runs by a reason: message, handler's time and both time-outs."""
    structlog.reset_defaults()
    before = metric("consumer_handlers_cut_total", by="timeout"), metric("consumer_handlers_cut_total", by="connection")
    consuming, handle = held(process)
    assert metric("consumer_handlers_cut_total", by="connection") == before[1] + 1
    assert not any("consumer timeout" in reason for reason in consuming.service.reasons())
    consuming.bring(1, AGAIN, b"held", True)
    consuming.lose("406 delivery acknowledgement timed out. Timeout value used: 15000 ms")
    assert metric("consumer_handlers_cut_total", by="timeout") == before[0] + 1
    log = capsys.readouterr().out
    for part in ("message_id=m", "handler_seconds=0", "handler_timeout=5m", "consumer_timeout=30m", "15000 ms"):
        assert part in log
    [reason] = [reason for reason in consuming.service.reasons() if "consumer timeout" in reason]
    for part in ("message m", "has run for 0s", "CONSUMER_HANDLER_TIMEOUT is 5m", "asks for 30m", "15000 ms"):
        assert part in reason
    handle.go_on.set()
    process.turn(lambda: not consuming.service._workers.busy, "it ends")
    process.turn(lambda: not any("consumer timeout" in each for each in consuming.service.reasons()), "all is well")


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
    made._workers = Mock(waiting=3, busy=0, count=1, error=None, **{"leave.return_value": True})
    made._retry, made._requeue, made._lost_runs = Mock(), MagicMock(), MagicMock()
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


def fail(mocked: Any, count: int, outcome: Any = AWAY) -> None:
    """So many different messages of the current channel, settled together."""
    channel = mocked._subscription.channel
    messages = (Message(b"x", message_id=f"{outcome}{tag}") for tag in range(count))
    done = [(Delivery(channel, tag, each), outcome, 0.1) for tag, each in enumerate(messages)]
    mocked._workers.outcomes.return_value = done
    mocked._on_outcomes()


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
    mocked._on_lost(BrokerError(Kind.TCP, "gone"))
    for part in (mocked._workers.take_back, mocked._retry.lost, mocked._requeue.lost):
        part.assert_called_once_with()


def test_a_handler_over_its_time_out_is_a_problem(service: ConsumerService, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, problems in ((300, []), (301, ["a handler has run for 301s, over CONSUMER_HANDLER_TIMEOUT"])):
        monkeypatch.setattr(service._workers, "longest", lambda _, seconds=seconds: float(seconds))
        assert service.problems() == problems


def test_nothing_is_taken_before_the_handler_is_set_up_and_it_is_torn_down_before_the_end(process: Loop) -> None:
    """After the last handler has ended, and before the connections close."""
    told, go_on = list[str](), Event()

    @contextmanager
    def opened() -> Iterator[Callable[[Message], None]]:
        go_on.wait(PATIENCE)
        told.append("set up")
        yield lambda _: told.append("handled")
        go_on.wait(PATIENCE)
        told.append("torn down")

    service = ConsumerService(process, SETTINGS, SetUp("x:opened", opened()))
    service.start()
    service.tick(0.0)
    assert service._subscription.connection.state is State.CLOSED
    assert service.reasons() == ["the handler is being set up"]
    go_on.set()
    process.turn(lambda: service._workers.ready, "it is set up")
    service.tick(0.0)
    assert service._subscription.connection.state is not State.CLOSED
    assert service.reasons() != ["the handler is being set up"]
    go_on.clear()
    service.stop()
    service._subscription.cancelled = True
    assert not service.done()
    assert told == ["set up"]
    go_on.set()
    process.turn(service.done, "it is torn down")
    assert told == ["set up", "torn down"]
    assert (service.summary()[0], service.error) == (0, None)
    service.close()
    process.turn(service.closed, "its connections are closed")


def test_a_failed_set_up_ends_the_service_before_it_connects(process: Loop) -> None:
    """With an exit code that says so."""

    @contextmanager
    def opened() -> Iterator[Callable[[Message], None]]:
        raise ConnectionError("no database")
        yield

    service = ConsumerService(process, SETTINGS, SetUp("x:opened", opened()))
    service.start()
    process.turn(lambda: service.error, "it has failed")
    service.tick(0.0)
    assert service.done()
    service.close()
    assert service.closed()
    assert service.summary()[0] == 1
    assert str(service.error) == "no database"


def test_a_stop_while_the_handler_is_set_up_waits_and_tears_it_down(process: Loop) -> None:
    told, go_on = list[str](), Event()

    @contextmanager
    def opened() -> Iterator[Callable[[Message], None]]:
        go_on.wait(PATIENCE)
        yield lambda _: None
        told.append("torn down")

    service = ConsumerService(process, SETTINGS, SetUp("x:opened", opened()))
    service.start()
    service.stop()
    service.tick(0.0)
    assert not service.done()
    go_on.set()
    process.turn(service.done, "it is torn down")
    assert told == ["torn down"]
    assert service._subscription.connection.state is State.CLOSED


def test_async_handlers_have_a_loop(process: Loop) -> None:
    async def handle(_: Message) -> None: ...

    consuming = Consuming(process, handle)
    consuming.come(1)
    process.turn(lambda: consuming.channel.basic_ack.call_args_list, "it is acknowledged")
    assert isinstance(consuming.service._workers, Coroutines)
    consuming.service.stop()
    consuming.service._subscription.cancelled = True
    process.turn(consuming.service.done, "its loop has ended")


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
