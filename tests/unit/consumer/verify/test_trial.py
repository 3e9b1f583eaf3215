"""How a trial ends without a broker; with one it is in tests/broker and tests/system."""

import re
import time
from typing import Any
from unittest.mock import Mock, call

import pytest

from common.amqp.connection import State
from common.amqp.errors import BrokerError, Kind
from common.message import Message
from consumer.delivery import Delivery
from consumer.prefetch import SHORT_PREFETCH
from consumer.verify.settings import VerifySettings, pattern
from consumer.verify.trial import Receiver, Results, Sender, Trial
from tests.processes import until
from tests.unit.conftest import Loop

pytestmark = pytest.mark.usefixtures("own_metrics")


BODY = b"as it was sent"


def settings(**given: Any) -> VerifySettings:
    return VerifySettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs.verify.0a", **given})


def trial(process: Loop, url: str = "amqp://127.0.0.1:1", **more: Any) -> Trial:
    return Trial(process, settings(mq_url=url, mq_ch="a.b", mq_backoff_max="50ms", **more), lambda: None)


def test_it_waits_for_a_broker_that_is_away_and_says_so_at_the_deadline(process: Loop) -> None:
    """It may be starting."""
    made = trial(process)
    made.start()
    process.turn(lambda: str(made.reasons()).count("nothing listens there") == 2, "two refusals")
    made.tick(time.monotonic())
    assert not made.done()
    made.tick(time.monotonic() + 60)
    assert made.done()
    assert made.problem.startswith("not all came in 1m: ")
    assert "nothing listens there" in made.problem
    made.close()
    assert made.closed()
    assert not made.deleted
    assert made.summary() == (1000, {})


@pytest.mark.parametrize("kind", [Kind.CREDENTIALS, Kind.VHOST, Kind.PERMISSION])
def test_what_no_waiting_makes_better_ends_it_at_once(process: Loop, kind: Kind) -> None:
    """With the rights that it needs, if it is about those."""
    made = trial(process)
    made._connections[0].broker_error = BrokerError(kind, "403 ACCESS_REFUSED - no", "do this")
    made.tick(time.monotonic())
    assert made.done()
    assert made.problem.startswith("403 ACCESS_REFUSED - no")
    wanted = r"configure and read on ^a\.b\.verify\.[0-9a-f]+$" if kind is Kind.PERMISSION else "do this"
    assert wanted in made.problem


def test_what_one_broker_refuses_another_may_grant(process: Loop) -> None:
    """So they are tried in turn until the deadline."""
    made = trial(process, "amqp://127.0.0.1:1,amqp://127.0.0.1:2")
    made._connections[0].broker_error = BrokerError(Kind.CREDENTIALS, "403 ACCESS_REFUSED - no")
    made.tick(time.monotonic())
    assert not made.done()


def test_a_run_sends_to_and_reads_from_its_temporary_queue_alone(process: Loop) -> None:
    """MQ_CH itself stays as it is."""
    made = trial(process)
    assert re.fullmatch(pattern("a.b"), made.topology.name)
    assert made._receiver._queue == made._sender._queue == made.topology.name
    assert made._receiver._subscription.topology == made._sender.publisher.topology == made.topology


def test_a_signal_ends_it_and_it_is_not_verified(process: Loop) -> None:
    """However much came."""
    made = trial(process)
    made.stop()
    assert made.done()
    assert made.problem == "stopped by a signal"
    assert made.summary()[0]


def test_it_is_done_when_each_message_was_confirmed_and_handled(process: Loop) -> None:
    """And a signal in that moment changes nothing."""
    made = trial(process, verify_count=2)
    for number in range(2):
        made.results.send(0.0)
        made.results.handle(number, 1.0)
    assert not made.done()
    for number in range(2):
        made.results.confirmed.add(number)
    assert made.done()
    made.stop()
    made.tick(time.monotonic() + 60)
    assert made.problem == ""
    assert made.summary()[0] == 0


@pytest.fixture
def results() -> Results:
    results = Results()
    for _ in range(3):
        results.send(0.0)
    return results


@pytest.fixture
def cancelled() -> list[str]:
    return []


@pytest.fixture
def receiver(process: Loop, results: Results, cancelled: list[str]) -> Receiver:
    return Receiver(process, settings(), BODY, results, lambda: cancelled.append("cancelled"))


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
    receiver: Receiver, results: Results, message_id: str | None, body: bytes, handled: int
) -> None:
    """Anything else is nobody's, and a changed one is lost."""
    receiver._handle(Message(body, message_id=message_id))
    receiver._settle()
    assert len(results.handled) == handled


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
    assert channel.basic_qos.call_args_list == [call(prefetch_count=SHORT_PREFETCH - 1)]


def test_without_a_connection_it_is_cancelled_at_once(receiver: Receiver, cancelled: list[str]) -> None:
    """Nobody waits for a broker that is away."""
    receiver.cancel()
    assert cancelled == ["cancelled"]


@pytest.mark.parametrize("rate", [0, 100])
def test_without_a_broker_nothing_is_attempted_and_the_loop_stays_free(process: Loop, rate: int) -> None:
    """A message that waits inside would look slow."""
    results = Results()
    sender = Sender(process, settings(verify_rate=rate), b"", results, lambda: None)
    sender.begin()
    later: list[int] = []
    process.call_later(0.05, lambda: later.append(1))
    process.turn(lambda: later, "a moment")
    assert len(results.sent_at) == len(sender.publisher) == 0
