"""What a publisher promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

import time

import pytest
from pika import spec
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common.amqp.errors import BrokerError, Kind
from common.amqp.flow import FULL, REFUSED
from common.amqp.inflight import Publication
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.message import Message
from common.settings.shared import Settings
from tests.unit.conftest import Loop
from tests.unit.peer import Peer, Visit

Token = int


def fail(*arguments: object) -> None:
    raise AssertionError(f"confirmed or refused without a broker: {arguments}")


def make(process: Loop, url: str, confirmed: list[Token] | None = None, **more: object) -> Publisher[Token]:
    settings = Settings.model_validate({"mq_url": url, "mq_ch": "jobs", "mq_backoff_max": "50ms", **more})

    def on_progress(publications: list[Publication[Token]]) -> None:
        if publications and confirmed is None:
            fail(publications)
        elif confirmed is not None:
            confirmed.extend(each.token for each in publications)

    topology = Topology("jobs")
    return Publisher("test_publisher", process, settings, topology, window=10, on_progress=on_progress, on_refused=fail)


def numbers(*tokens: Token) -> list[Publication[Token]]:
    return [Publication("jobs", Message(b"%d" % token), token) for token in tokens]


@pytest.fixture
def publisher(process: Loop, own_metrics: None) -> Publisher[Token]:
    return make(process, "amqp://127.0.0.1:1")


def test_without_a_broker_everything_is_kept_and_nothing_more_is_asked_for(publisher: Publisher[Token]) -> None:
    """Over losses and ticks, and the metric tells how much."""
    publisher.publish(Publication("jobs", Message(b"x"), number) for number in range(3))
    publisher.lost(BrokerError(Kind.TCP, "gone"))
    publisher.tick(time.monotonic() + 1000)
    assert len(publisher) == 3
    assert publisher.room == 0
    assert REGISTRY.get_sample_value("test_publisher_unconfirmed") == 3
    assert REGISTRY.get_sample_value("test_publisher_published_total") == 0


def test_each_message_that_is_left_out_is_named(publisher: Publisher[Token]) -> None:
    """However many a second: nobody else knows that they are missing."""
    with capture_logs() as lines:
        for number in range(1000):
            publisher.refused("too long", message_id=f"m{number}")
    assert [line["message_id"] for line in lines] == [f"m{number}" for number in range(1000)]


def test_it_is_not_ready_and_says_why(publisher: Publisher[Token]) -> None:
    """Of the connection, and of the last loss until something is confirmed."""
    assert publisher.reasons() == ["test_publisher: closed"]
    publisher.lost(BrokerError(Kind.TOPOLOGY, "312 NO_ROUTE: there is no queue jobs"))
    assert publisher.reasons() == ["test_publisher: closed", "there is no queue"]


@pytest.mark.usefixtures("own_metrics")
def test_a_message_whose_confirm_is_left_out_is_sent_again(process: Loop, peer: Peer) -> None:
    """However many confirms come for the others: they do not stand in for it."""
    confirmed: list[Token] = []

    def leave_out_the_second(visit: Visit, tag: int) -> None:
        if visit.number or tag != 2:
            visit.say(spec.Basic.Ack(tag))

    peer.on_publish = leave_out_the_second
    publisher = make(process, peer.url, confirmed, mq_confirm_timeout="300ms")
    publisher.connection.open()
    for token in range(400):
        publisher.publish(numbers(token))
        process.turn(lambda token=token: confirmed.count(token) or token == 1, "its confirm")  # type: ignore[misc]
        publisher.tick(time.monotonic())
        if 1 in confirmed:
            break
    process.turn(lambda: 1 in confirmed, "the one that was left out")
    assert b"1" in peer.visits[1].published
    publisher.connection.close()


@pytest.mark.usefixtures("own_metrics")
def test_what_a_full_queue_refused_is_sent_again_in_its_order(process: Loop, peer: Peer) -> None:
    """Though it comes back in several batches."""
    confirmed: list[Token] = []

    def refuse_two_batches(visit: Visit, tag: int) -> None:
        if tag == 5:
            visit.say(spec.Basic.Nack(3, multiple=True))
            visit.say(spec.Basic.Nack(5, multiple=True))
        elif tag == 1 or tag > 5:
            visit.say(spec.Basic.Ack(tag))

    peer.on_publish = refuse_two_batches
    publisher = make(process, peer.url, confirmed)
    publisher.connection.open()
    publisher.publish(numbers(*range(8)))

    def all_are_confirmed() -> bool:
        publisher.tick(time.monotonic())
        return len(confirmed) == 8

    process.turn(all_are_confirmed, "all confirms")
    assert peer.visits[0].published[8:] == [b"1", b"2", b"3", b"4"]
    assert sorted(confirmed) == list(range(8))
    publisher.connection.close()


@pytest.mark.usefixtures("own_metrics")
def test_a_channel_that_only_refuses_is_left_and_it_is_said_why(process: Loop, peer: Peer) -> None:
    """It may be the one that was not told of room."""
    confirmed: list[Token] = []
    peer.on_publish = lambda visit, tag: visit.say(spec.Basic.Ack(tag) if visit.number else spec.Basic.Nack(tag))
    publisher = make(process, peer.url, confirmed)
    publisher.connection.open()
    publisher.publish(numbers(0))
    process.turn(lambda: "the queue is full" in publisher.reasons(), "a broker_error")
    publisher.tick(time.monotonic() + FULL + 1)
    assert publisher.connection.broker_error is REFUSED
    process.turn(lambda: confirmed == [0], "the confirm of another")
    publisher.connection.close()


def test_a_queue_that_was_full_is_not_said_of_a_broker_that_is_away(process: Loop) -> None:
    """And no try to connect is given up for it."""
    publisher = make(process, "amqp://127.0.0.1:1")
    publisher._stall.moved(time.monotonic(), refused=True)
    publisher.lost(BrokerError(Kind.TCP, "gone"))
    publisher.connection.open()
    publisher.tick(time.monotonic() + FULL + 1)
    assert publisher.connection.broker_error is not REFUSED
    publisher.connection.close()
