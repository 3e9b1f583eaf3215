"""A broker that returns, refuses or blocks what the producer sends."""

from pathlib import Path

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, take
from tests.system.manage import policy

WATERMARK = "set_vm_memory_high_watermark"


def test_a_queue_deleted_under_the_producer_is_made_again_and_nothing_later_is_lost(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """The broker confirms what no queue took; it comes back, is kept, and is sent again."""
    producer = start("producer", "--source", f"{PLUGINS}:numbers", "--count", "400", "--rate", "200", **QUICK)
    producer.wait_ready()
    until(lambda: producer.metric("producer_confirmed_total") >= 20, "it flows")
    channel.queue_delete(mq_ch)
    before = producer.metric("producer_confirmed_total")
    assert producer.wait() == 0
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", CONSUMER_IDLE_EXIT="1s", RECORD=record)
    assert consumer.wait() == 0, consumer.stderr.read_text()
    numbers = set(map(int, bodies(record)))
    first = min(numbers, default=401)
    # The last few before it may have gone into the old queue, and away with it.
    assert first <= before + 10, "messages that no queue took were believed"
    assert numbers == set(range(first, 401))


def test_what_a_full_queue_refuses_is_kept_and_goes_when_there_is_room(
    start: Start, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """The producer says that it is refused, slows down, and nothing is lost when the consumer comes."""
    start("consumer", CONSUMER_IDLE_EXIT="1ms").wait()
    with policy(broker, mq_ch, {"max-length": 5}):
        producer = start("producer", "--source", f"{PLUGINS}:numbers", "--count", "300", PRODUCER_WINDOW=50)
        until(lambda: producer.reasons() == ["the queue is full"], "it says why it is not ready")
        assert producer.metric("producer_nacked_total") > 0
        record = tmp_path / "record"
        consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", RECORD=record)
        assert producer.wait() == 0
        until(lambda: consumer.metric('consumer_settled_total{outcome="ack"}') >= 300, "all are handled")
    assert sorted(map(int, bodies(record))) == list(range(1, 301))


def test_a_broker_in_memory_alarm_is_waited_for(start: Start, mq_ch: str, broker: Broker, tmp_path: Path) -> None:
    """The producer keeps what it has and says why; the consumer goes on; after the alarm all goes on, nothing lost."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", RECORD=record).wait_ready()
    producer = start("producer", "--source", f"{PLUGINS}:numbers", "--rate", "100")
    until(lambda: bodies(record), "it flows")
    try:
        broker.rabbitmqctl(WATERMARK, "0")
        until(lambda: producer.reasons() == ["producer: blocked"], "it says why it is not ready")
        assert producer.metric('mq_blocked{connection="producer"}') == 1
        until(lambda: consumer.metric("consumer_unsettled") == 0, "what is there is handled")
        sent = producer.metric("producer_published_total")
    finally:
        broker.rabbitmqctl(WATERMARK, "0.6")
    until(lambda: producer.metric("producer_confirmed_total") > sent, "it flows again")
    assert producer.reasons() == []
    producer.terminate()
    assert producer.wait() == 0
    confirmed = producer.event("stopped")["confirmed"]
    until(lambda: len(bodies(record)) >= confirmed, "all is handled")
    assert list(map(int, bodies(record))) == list(range(1, confirmed + 1))


@pytest.mark.parametrize("source", ["poisoned", "large"])
def test_a_message_that_no_broker_takes_is_refused_alone(
    source: str, start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """It closes the channel each time, so it is found, given up and reported (exit 1); its neighbours go through."""
    producer = start("producer", "--source", f"{PLUGINS}:{source}", MQ_MAX_BODY=20_000_000, **QUICK)
    code = producer.wait()
    # The limit of RabbitMQ 3 is 128 MiB, that of 4 is 16 MiB.
    taken = source == "large" and broker.name == "debian"
    assert code == (0 if taken else 1)
    assert producer.event("stopped")["refused"] == (0 if taken else 1)
    assert ("PRECONDITION_FAILED" in producer.event("refused").get("reason", "")) is not taken
    came = [body for _, body in take(channel, mq_ch, 3 if taken else 2)]
    assert (came[0], came[-1]) == (b"first", b"last")


def test_a_body_over_our_limit_is_refused_before_it_is_sent(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """No connection is lost over it, and the stream goes on."""
    producer = start("producer", "--source", f"{PLUGINS}:large", MQ_MAX_BODY=1_000_000)
    assert producer.wait() == 1
    assert "over MQ_MAX_BODY" in producer.event("refused")["reason"]
    assert producer.event("not connected") == {}
    assert [body for _, body in take(channel, mq_ch, 2)] == [b"first", b"last"]
