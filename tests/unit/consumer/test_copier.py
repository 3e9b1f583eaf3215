"""What a copier promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

import pytest
from structlog.testing import capture_logs

from common.message import Message
from common.refusal import Kind, Refusal
from consumer.copier import Copier
from consumer.delivery import Delivery
from consumer.outcome import Park, Retry
from consumer.prefetch import SUSPECT
from consumer.settings import ConsumerSettings
from consumer.subscription import Subscription
from tests.unit.conftest import Loop

pytestmark = pytest.mark.usefixtures("own_metrics")


@pytest.fixture
def copier(process: Loop) -> Copier:
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    subscription = Subscription(process, settings, lambda _: None, lambda: None, lambda *_: None)
    return Copier(process, settings, subscription)


def delivery(tag: int, count: int = 0) -> Delivery:
    return Delivery(object(), tag, Message(b"x", message_id="m", headers={"x-delivery-count": count}))


def test_failures_are_kept_until_there_is_a_broker_and_told_with_where_they_go(copier: Copier) -> None:
    """Retry queue or dead-letter queue."""
    with capture_logs() as lines:
        copier.failed([(delivery(1), Retry(5.0, "ValueError: x", "f.py:1")), (delivery(2), Park("Reject: y"))])
    assert len(copier.publisher) == 2
    assert [(line["to"], line["error"], line["message_id"]) for line in lines] == [
        ("jobs.retry.5s", "ValueError: x", "m"),
        ("jobs.dead", "Reject: y", "m"),
    ]
    assert copier.totals == {"retried": 0, "parked": 0, "handed_back": 0}


def test_a_loss_leaves_no_copies_of_what_the_broker_delivers_again(copier: Copier) -> None:
    """However often the same messages fail while no copy can go out; one in flight is not sent again either."""
    for _ in range(3):
        copier.failed((delivery(tag), Park("x")) for tag in range(100))
        copier.refresh([delivery(100, SUSPECT)])
        copier.lost()
        assert len(copier.publisher) == 0
    outbox = copier.publisher._outbox
    copier.failed([(delivery(1), Park("x"))])
    sent = outbox.next(1)
    assert sent
    outbox.sent(sent, 1.0)
    copier.lost()
    copier.publisher.lost(Refusal(Kind.TCP, "gone"))
    assert len(copier.publisher) == 0


def test_a_flood_of_failures_is_no_flood_of_lines(copier: Copier) -> None:
    """The rest is counted."""
    with capture_logs() as lines:
        copier.failed((delivery(tag), Park("x")) for tag in range(500))
        copier.tick(1000.0)
    assert len(lines) < 50
    assert len(lines) - 1 + lines[-1]["count"] == 500
    assert len(copier.publisher) == 500


def test_only_what_would_look_suspect_next_time_is_handed_back_as_a_copy(copier: Copier) -> None:
    """Its count begins anew."""
    deliveries = [delivery(tag, count) for tag, count in enumerate((0, SUSPECT - 2, SUSPECT - 1, 15))]
    assert copier.refresh(deliveries) == deliveries[:2]
    assert len(copier.publisher) == 2
