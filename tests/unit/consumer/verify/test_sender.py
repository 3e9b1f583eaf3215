"""What a sender holds while no broker is there; with one it is in tests/broker."""

import pytest

from consumer.verify.ledger import Ledger
from consumer.verify.sender import Sender
from consumer.verify.settings import VerifySettings
from consumer.verify.topology import temporary
from tests.unit.conftest import Loop

pytestmark = pytest.mark.usefixtures("own_metrics")


@pytest.mark.parametrize("rate", [0, 100])
def test_without_a_broker_nothing_is_attempted_and_the_loop_stays_free(process: Loop, rate: int) -> None:
    """A message that waits inside would look slow."""
    ledger = Ledger()
    settings = VerifySettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "verify_rate": rate})
    sender = Sender(process, settings, temporary("jobs", "0a"), body=b"", ledger=ledger, on_refused=lambda: None)
    sender.begin()
    later: list[int] = []
    process.call_later(0.05, lambda: later.append(1))
    process.turn(lambda: later, "a moment")
    assert ledger.attempted == len(sender.publisher) == 0
