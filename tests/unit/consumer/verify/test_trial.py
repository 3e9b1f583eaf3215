"""How a trial ends without a broker; with one it is in tests/broker and tests/system."""

import time

import pytest

from common.amqp.errors import Kind, Refusal
from consumer.verify.settings import VerifySettings
from consumer.verify.trial import Trial
from tests.unit.conftest import Loop

pytestmark = pytest.mark.usefixtures("own_metrics")


def trial(process: Loop, url: str = "amqp://127.0.0.1:1", **more: object) -> Trial:
    values = {"mq_url": url, "mq_ch": "a.b", "mq_backoff_max": "50ms", **more}
    return Trial(process, VerifySettings.model_validate(values), lambda: None)


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
    made._connections[0].refusal = Refusal(kind, "403 ACCESS_REFUSED - no", "do this")
    made.tick(time.monotonic())
    assert made.done()
    assert made.problem.startswith("403 ACCESS_REFUSED - no")
    wanted = r"configure and read on ^a\.b\.verify\.[0-9a-f]+$" if kind is Kind.PERMISSION else "do this"
    assert wanted in made.problem


def test_what_one_broker_refuses_another_may_grant(process: Loop) -> None:
    """So they are tried in turn until the deadline."""
    made = trial(process, "amqp://127.0.0.1:1,amqp://127.0.0.1:2")
    made._connections[0].refusal = Refusal(Kind.CREDENTIALS, "403 ACCESS_REFUSED - no")
    made.tick(time.monotonic())
    assert not made.done()


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
        made.ledger.send(0.0)
        made.ledger.handle(number, 1.0)
    assert not made.done()
    for number in range(2):
        made.ledger.confirm(number)
    assert made.done()
    made.stop()
    made.tick(time.monotonic() + 60)
    assert made.problem == ""
    assert made.summary()[0] == 0
