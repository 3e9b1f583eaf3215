"""Subscribing, being thrown out, handing back."""

import signal
import time
from pathlib import Path

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError, UnroutableError

from consumer.prefetch import SHORT_PREFETCH
from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, handled, peak, take

STOPS = 22
PREFETCHED = 12
MEGABYTE = 1_000_000  # bytes of a body
MOST = 200  # MiB


def test_a_queue_deleted_under_the_consumer_is_made_again_and_consumed(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """The broker cancels the consumer without closing anything: that counts as a loss.

    One that is back at once may be refused at the consume once more: the broker accepts the declaration while it still
    deletes.
    """
    record, reconnects = tmp_path / "record", 'mq_reconnects_total{connection="consumer"}'
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", RECORD=record, **QUICK).wait_ready()
    channel.queue_delete(mq_ch)
    until(lambda: consumer.metric(reconnects), "it notices")

    def published() -> bool:
        try:
            channel.basic_publish("", mq_ch, b"after", mandatory=True)
        except (UnroutableError, NackError):  # not there yet, it has no leader yet, or 3.10 still deletes
            return False
        return True

    until(published, "the queue is there again")
    until(lambda: bodies(record) == ["after"], "it is handled")
    consumer.wait_ready()
    first, lost, *more = [line for line in consumer.log() if line["connection"] == "consumer"]
    assert (first["event"], lost["event"]) == ("connected", "not connected")
    assert lost["reason"].startswith("the broker cancelled the consumer")
    assert consumer.metric(reconnects) == [line["event"] for line in more].count("connected")


def test_one_worker_keeps_the_order(start: Start, mq_ch: str, tmp_path: Path) -> None:
    """Of a few thousand messages, taken while they come."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", CONSUMER_IDLE_EXIT="1s", RECORD=record)
    assert start("producer", "--source", f"{PLUGINS}:numbers", "--count", "3000").wait() == 0
    assert consumer.wait() == 0
    assert bodies(record) == [str(number) for number in range(1, 3001)]


@pytest.mark.slow
@pytest.mark.one_wire("takes long; handing back goes by nacks, which both wires leave to pika")
def test_deliveries_handed_back_at_twenty_stops_are_not_parked(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """Prefetched and never begun, they cost nothing on any broker, however often a consumer is rolled out.

    RabbitMQ before 4.3 counts what is handed back as a loss; of what it counted, no more is sent ahead than is handled.
    """
    counts = not broker.name.startswith("container")
    record = tmp_path / "record"
    go = Path(f"{record}.go")
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:hold_next", "RECORD": record, **QUICK}
    start("consumer", CONSUMER_IDLE_EXIT="1ms").wait()
    total = 2 * STOPS + PREFETCHED
    for number in range(total):
        properties = BasicProperties(message_id=str(number), headers={"theirs": number})
        channel.basic_publish("", mq_ch, f"{number}", properties, mandatory=True)
    for stop in range(STOPS):
        go.unlink(missing_ok=True)
        consumer = start("consumer", **settings)
        until(lambda: len(bodies(record)) == 2 * stop + 2, "it works on the second")  # noqa: B023
        held = 1 if counts and stop else total - 2 * stop - 1
        until(lambda: consumer.metric("consumer_unsettled") == held, "it holds the others")  # noqa: B023
        consumer.signal(signal.SIGTERM)
        until(lambda: consumer.event("stopping"), "it stops")  # noqa: B023
        until(lambda: consumer.metric("consumer_unsettled") == 1, "it hands them back")  # noqa: B023
        go.touch()
        assert consumer.wait() == 0
        assert consumer.event("stopped")["handled"] == 2
    left = take(channel, mq_ch, PREFETCHED)
    take(channel, f"{mq_ch}.dead", 0)
    assert sorted(map(int, bodies(record) + [body.decode() for _, body in left])) == list(range(total))
    assert all(properties.message_id == body.decode() for properties, body in left)
    assert all(properties.headers["theirs"] == int(body) for properties, body in left)


@pytest.mark.one_wire("takes long, and counts what came, whoever read it")
def test_only_a_quick_handler_has_many_sent_ahead(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """A slow one would keep them from other consumers, and would have to settle all within the broker's time-out."""
    go = Path(f"{tmp_path / 'record'}.go")
    start("consumer", CONSUMER_IDLE_EXIT="1ms").wait()
    for quick_before, held in ((0, 1), (1, SHORT_PREFETCH), (3 * SHORT_PREFETCH, 5 * SHORT_PREFETCH)):
        for body in [b"quick"] * quick_before + [b"hold"] + [b"quick"] * (5 * SHORT_PREFETCH - 1):
            channel.basic_publish("", mq_ch, body, mandatory=True)
        go.unlink(missing_ok=True)
        settings = {"CONSUMER_HANDLER": f"{PLUGINS}:hold_one", "RECORD": tmp_path / "record", **QUICK}
        consumer = start("consumer", CONSUMER_IDLE_EXIT="1s", **settings).wait_ready()
        until(lambda: consumer.metric("consumer_unsettled") == held, f"it holds {held}")  # noqa: B023
        time.sleep(0.3)
        assert consumer.metric("consumer_unsettled") == held
        go.touch()
        assert consumer.wait() == 0


def test_large_bodies_behind_many_small_ones_do_not_fill_the_memory(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """What was sent ahead goes back and comes one by one; each is handled, and none is parked for it."""
    record = tmp_path / "record"
    start("consumer", CONSUMER_IDLE_EXIT="1ms").wait()
    sizes = [1] * 3 * SHORT_PREFETCH + [MEGABYTE] * 200
    for number, size in enumerate(sizes):
        channel.basic_publish("", mq_ch, bytes(size), BasicProperties(message_id=f"{number}"), mandatory=True)
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:weigh", RECORD=record).wait_ready()
    until(lambda: consumer.event("less is sent ahead: handlers are slow or messages large"), "it has enough")
    until(lambda: consumer.metric("consumer_unsettled") < 2 * SHORT_PREFETCH, "what is more went back")
    Path(f"{record}.go").touch()
    until(lambda: len(handled(record)) >= len(sizes), "all are handled", 60)
    until(lambda: consumer.metric("consumer_unsettled") == 0, "all are settled")
    assert peak(consumer) < MOST
    consumer.terminate()
    assert consumer.wait() == 0
    assert {row["message_id"] for row in handled(record)} == {str(number) for number in range(len(sizes))}
    assert max(map(int, bodies(record))) <= (0 if broker.name == "container" else 1)  # before 4.3 a nack counts
    for queue in (mq_ch, f"{mq_ch}.dead"):
        take(channel, queue, 0)


def test_a_queue_with_a_single_active_consumer_gets_the_whole_prefetch(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """A further consumer gets nothing there; all are handled, in their order, and none twice."""
    record, many = tmp_path / "record", 600
    quorum = {"x-queue-type": "quorum"}
    channel.queue_declare(f"{mq_ch}.dead", durable=True, arguments=quorum)
    channel.queue_declare(mq_ch, durable=True, arguments=quorum | {"x-single-active-consumer": True})
    for number in range(many):
        channel.basic_publish("", mq_ch, b"%d" % number, mandatory=True)
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:slow", "MQ_TOPOLOGY": "assert", "CONSUMER_RETRY_DELAYS": "off"}
    consumer = start("consumer", RECORD=record, **settings).wait_ready()
    until(lambda: consumer.metric("consumer_unsettled") > 64, "much is sent ahead")
    until(lambda: len(bodies(record)) == many, "all are handled")
    assert bodies(record) == [str(number) for number in range(many)]
    until(lambda: consumer.metric("consumer_unsettled") == 0, "all are settled")
