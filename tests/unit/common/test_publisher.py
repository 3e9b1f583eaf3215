"""What a publisher promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

import time

import pytest
from prometheus_client import REGISTRY

from common.message import Message
from common.outbox import Publication
from common.publisher import Publisher
from common.refusal import Kind, Refusal
from common.settings import Settings
from common.topology import Topology
from tests.unit.conftest import Loop

Token = int


def fail(*arguments: object) -> None:
    raise AssertionError(f"confirmed or refused without a broker: {arguments}")


@pytest.fixture
def publisher(process: Loop, own_metrics: None) -> Publisher[Token]:
    settings = Settings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    return Publisher(
        "test_publisher",
        process,
        settings,
        Topology("jobs"),
        window=10,
        on_progress=lambda confirmed: fail(confirmed) if confirmed else None,
        on_refused=fail,
    )


def test_without_a_broker_everything_is_kept_and_nothing_more_is_asked_for(publisher: Publisher[Token]) -> None:
    """Over losses and ticks, and the metric tells how much."""
    publisher.publish(Publication("jobs", Message(b"x"), number) for number in range(3))
    publisher.lost(Refusal(Kind.TCP, "gone"))
    publisher.tick(time.monotonic() + 1000)
    assert len(publisher) == 3
    assert publisher.room == 0
    assert REGISTRY.get_sample_value("test_publisher_unconfirmed") == 3
    assert REGISTRY.get_sample_value("test_publisher_published_total") == 0


def test_it_is_not_ready_and_says_why(publisher: Publisher[Token]) -> None:
    """Of the connection, and of the last loss until something is confirmed."""
    assert publisher.reasons() == ["test_publisher: closed"]
    publisher.lost(Refusal(Kind.TOPOLOGY, "312 NO_ROUTE: there is no queue jobs"))
    assert publisher.reasons() == ["test_publisher: closed", "returned"]
