"""What a retry publisher promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

from typing import Any
from unittest.mock import Mock, call

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common.amqp.inflight import Publication, Single
from common.amqp.topology import Topology
from common.message import Message
from consumer.delivery import Delivery
from consumer.forward import Forward
from consumer.outcome import ACK, Forwarded, Park, Retry
from consumer.retry import Forwarding, RetryPublisher
from consumer.settings import ConsumerSettings
from consumer.settle import Copy
from tests.unit.conftest import Loop

pytestmark = pytest.mark.usefixtures("own_metrics")
CURRENT, LOST = object(), object()


@pytest.fixture
def subscription() -> Mock:
    """With a channel that is current."""
    made = Mock(acknowledge=Mock(), requeue=Mock())
    made.connection.properties_room = 131_052
    made.current.side_effect = lambda delivery: delivery.channel is CURRENT
    return made


@pytest.fixture
def retry(process: Loop, subscription: Mock) -> RetryPublisher:
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    return RetryPublisher(process, settings, Topology("jobs", [5.0]), subscription, Mock())


def copy(tag: int, counts_as: Any = "retried", channel: object = CURRENT, error: str = "ValueError: x") -> Copy:
    message = Message(b"x", message_id=f"m{tag}", headers={"mq-attempt": 2})
    return Copy(Delivery(channel, tag, message), "jobs.retry.5s", message, counts_as, error, "f.py:1")


def settled() -> list[float]:
    samples = [
        REGISTRY.get_sample_value("consumer_settled_total", {"outcome": to}) for to in ("ack", "retry", "parked")
    ]
    return [sample or 0.0 for sample in samples]


def confirmed(*copies: Copy) -> list[Publication[Copy]]:
    return [Publication(each.queue, each.message, each) for each in copies]


def test_copies_are_kept_until_there_is_a_broker_and_failures_are_logged_with_their_queue(
    retry: RetryPublisher,
) -> None:
    """One line for each failure; what is handed back is none."""
    with capture_logs() as lines:
        retry.publish([copy(1), copy(2, "handed_back", error="")])
    assert len(retry.publisher) == 2
    [line] = lines
    said = {"event": "failed", "log_level": "warning", "to": "jobs.retry.5s", "error": "ValueError: x"}
    assert line == said | {"where": "f.py:1", "attempt": 2, "message_id": "m1"}
    assert retry.totals == {"retried": 0, "postponed": 0, "parked": 0, "handed_back": 0}


def test_a_failure_with_a_traceback_is_logged_with_it_whatever_the_quota(retry: RetryPublisher) -> None:
    """The first of its kind in a minute: there is no other. No header has it."""
    copies = [copy(number) for number in range(50)] + [copy(50)._replace(trace="Traceback\n...")]
    with capture_logs() as lines:
        retry.publish(copies)
    assert [line["message_id"] for line in lines] == [*(f"m{number}" for number in range(20)), "m50"]
    assert [line.get("exception") for line in lines] == [None] * 20 + ["Traceback\n..."]


def test_an_original_is_acknowledged_when_its_copy_is_confirmed_and_counted_then(
    retry: RetryPublisher, subscription: Mock
) -> None:
    """By what became of it; a requeue settles nothing."""
    before = settled()
    retry._on_confirmed(confirmed(copy(1), copy(2, "parked"), copy(3, "handed_back"), copy(4)))
    assert [now - was for now, was in zip(settled(), before, strict=True)] == [0, 2, 1]
    assert subscription.acknowledge.call_args_list == [call([1, 2, 3, 4])]
    assert retry.totals == {"retried": 2, "postponed": 0, "parked": 1, "handed_back": 1}


def test_an_original_whose_channel_is_gone_is_not_acknowledged(retry: RetryPublisher, subscription: Mock) -> None:
    """Its tag names another message on the current one."""
    retry._on_confirmed(confirmed(copy(1, channel=LOST), copy(2)))
    assert subscription.acknowledge.call_args_list == [call([2])]


def test_an_original_whose_copy_is_refused_is_requeued_after_a_pause_and_counted(
    retry: RetryPublisher, subscription: Mock, monkeypatch: pytest.MonkeyPatch, process: Loop
) -> None:
    """Until its own limit parks it."""
    monkeypatch.setattr("consumer.retry.REFUSED_PAUSE_SECONDS", 0.05)
    [publication] = confirmed(copy(1))
    retry._on_refused(publication)
    subscription.requeue.assert_not_called()
    process.turn(lambda: subscription.requeue.called, "it is requeued")
    assert subscription.requeue.call_args_list == [call(publication.token.delivery, counted=True)]
    subscription.acknowledge.assert_not_called()


def test_the_publisher_looks_after_its_time_outs(retry: RetryPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.publisher, "tick", tick := Mock())
    retry.tick(7.0)
    assert tick.call_args_list == [call(7.0)]


def test_copies_of_a_lost_channel_are_dropped(retry: RetryPublisher) -> None:
    """However often the same messages fail while no copy can go out."""
    for _ in range(3):
        retry.publish([copy(tag, channel=LOST) for tag in range(100)])
        retry.lost()
        assert len(retry.publisher) == 0
    retry.publish([copy(1)])
    retry.lost()
    assert len(retry.publisher) == 1


def test_a_flood_of_failures_is_no_flood_of_lines(retry: RetryPublisher) -> None:
    """The rest is counted."""
    with capture_logs() as lines:
        retry.publish([copy(tag) for tag in range(500)])
        retry.tick(1000.0)
    assert len(lines) < 50
    assert len(lines) - 1 + lines[-1]["count"] == 500
    assert len(retry.publisher) == 500


@pytest.mark.parametrize("came", [None, Message(b"x", message_id="m1")])
def test_what_a_full_queue_refused_for_its_delay_is_tried_again_here(
    retry: RetryPublisher, subscription: Mock, monkeypatch: pytest.MonkeyPatch, came: Message | None
) -> None:
    """As the copy, which counts the attempt, on the delivery it was made of; which knows what came, however often."""
    made = copy(1)._replace(delay=5.0)
    made = made._replace(delivery=made.delivery._replace(came=came))
    retry.publish([made])
    (waiting,) = retry.publisher._in_flight.take(1)
    retry.publisher._in_flight.sent([waiting], 0.0)
    retry.publisher._in_flight.nacked(1, multiple=False)
    now = waiting.token.delay - 5.0
    retry._retry_here(now + 4.9)
    assert list(retry._hand_over.call_args.args[0]) == []  # type: ignore[attr-defined]
    retry._retry_here(now + 5.1)
    again = made.delivery._replace(message=made.message, came=came or made.delivery.message)
    assert retry._hand_over.call_args.args[0] == [again]  # type: ignore[attr-defined]
    assert len(retry.publisher) == 0
    subscription.acknowledge.assert_not_called()


def forwarding(tag: int, *bodies: bytes) -> tuple[Delivery, Forwarded, float]:
    forwards = tuple(Forward(body, to="out") for body in bodies)
    made = tuple(Message(body, message_id=f"m{tag}-{number}") for number, body in enumerate(bodies))
    return Delivery(CURRENT, tag, Message(b"x", headers={"mq-attempt": 1})), Forwarded(forwards, made), 0.1


def waiting(retry: RetryPublisher) -> list[Publication[Copy | Forwarding]]:
    return list(retry.publisher._in_flight._waiting)


def test_a_message_is_handled_when_all_that_it_forwards_is_confirmed(
    retry: RetryPublisher, subscription: Mock, process: Loop
) -> None:
    """Not before, and nothing is acknowledged past the one judgement of all that is done."""
    retry.on_forwarded = Mock()
    done = forwarding(1, b"one", b"two")
    retry.forward([done])
    subscription.holds.assert_called_once_with(done[0], 6)
    first, second = waiting(retry)
    assert [type(each) for each in (first, second)] == [Single, Single]
    assert (first.exchange, first.routing_key, first.message.body) == ("", "out", b"one")
    retry._on_confirmed([first])
    process.turn(lambda: True, "a turn")
    retry.on_forwarded.assert_not_called()
    retry._on_confirmed([second])
    process.turn(lambda: retry.on_forwarded.called, "it is handled")  # type: ignore[attr-defined]
    retry.on_forwarded.assert_called_once_with([(done[0], ACK, 0.1)])
    assert subscription.acknowledge.call_args_list == [call([]), call([])]


@pytest.mark.parametrize("confirmed_before", [True, False])
def test_a_message_has_failed_once_when_one_of_those_it_forwards_has(
    retry: RetryPublisher, process: Loop, confirmed_before: bool
) -> None:
    """Whatever becomes of the others."""
    retry.on_forwarded = Mock()
    done = forwarding(1, b"one", b"two", b"three")
    retry.forward([done])
    first, second, third = waiting(retry)
    retry._on_confirmed([first] * confirmed_before)
    retry._on_failed(second, "312 NO_ROUTE", True)
    retry._on_failed(third, "312 NO_ROUTE", True)
    retry._on_confirmed([first] * (not confirmed_before))
    process.turn(lambda: retry.on_forwarded.called, "it has failed")  # type: ignore[attr-defined]
    reason = Retry(5.0, "NotForwarded: the queue out: 312 NO_ROUTE", outage=True)
    assert retry.on_forwarded.call_args_list == [call([(done[0], reason, 0.1)])]


def test_what_cannot_be_encoded_is_no_outage_and_parked_after_the_last_attempt(
    retry: RetryPublisher, process: Loop
) -> None:
    retry.on_forwarded = Mock()
    delivery, outcome, seconds = forwarding(1, b"one")
    retry.forward([(delivery._replace(message=Message(b"x", headers={"mq-attempt": 2})), outcome, seconds)])
    retry._on_failed(waiting(retry)[0], "TypeError: no", False)
    process.turn(lambda: retry.on_forwarded.called, "it has failed")  # type: ignore[attr-defined]
    [[(_, parked, _)]] = retry.on_forwarded.call_args.args
    assert parked == Park("ValueError: the queue out: TypeError: no")


def test_what_a_broker_confirms_one_by_one_is_concluded_together(retry: RetryPublisher, process: Loop) -> None:
    retry.on_forwarded = Mock()
    retry.forward([forwarding(tag, b"x") for tag in (1, 2, 3)])
    for publication in waiting(retry):
        retry._on_confirmed([publication])
    process.turn(lambda: retry.on_forwarded.called, "they are handled")  # type: ignore[attr-defined]
    (done,) = retry.on_forwarded.call_args.args
    assert [delivery.tag for delivery, _, _ in done] == [1, 2, 3]
    assert len(retry.on_forwarded.call_args_list) == 1


def test_what_is_forwarded_for_a_lost_channel_is_dropped(retry: RetryPublisher) -> None:
    """The broker delivers the message again."""
    delivery, outcome, seconds = forwarding(1, b"one")
    retry.forward([(delivery._replace(channel=LOST), outcome, seconds)])
    retry.lost()
    assert len(retry.publisher) == 0
