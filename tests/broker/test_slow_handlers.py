"""Handlers that take longer than their connection or the broker's patience lasts."""

import json
from pathlib import Path

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.broker.test_stale_channel import UNSETTLED, connections, publish
from tests.brokers import Broker
from tests.processes import Process, until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, take

ACKED = 'consumer_settled_total{outcome="ack"}'
BELOW = 1000  # milliseconds; of a policy, and below what any handler here takes


def held(start: Start, channel: BlockingChannel, queue: str, record: Path) -> Process:
    """A consumer whose handler waits for a file."""
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:hold_each", "CONSUMER_WORKERS": 4, "RECORD": record, **QUICK}
    consumer = start("consumer", **settings).wait_ready()
    publish(channel, queue, ["slow"])
    until(lambda: bodies(record) == ["slow"], "its handler is running")
    return consumer


def test_a_message_whose_connection_is_lost_three_times_runs_once(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """Its redelivery waits for the handler that runs, other messages do not, and the handler's success counts."""
    record = tmp_path / "record"
    consumer = held(start, channel, mq_ch, record)
    for times in (1, 2, 3):
        [pid] = connections(broker, "consumer")
        broker.rabbitmqctl("close_connection", pid, "closed by the test")
        until(lambda: consumer.metric('mq_reconnects_total{connection="consumer"}') == times, "it connects anew")  # noqa: B023
        until(lambda: consumer.metric(UNSETTLED) == 1, "the message is delivered again")
    Path(f"{record}.go.slow").touch()
    until(lambda: consumer.metric(ACKED) == 1, "its success is the redelivery's")
    Path(f"{record}.go.next").touch()
    publish(channel, mq_ch, ["next"])
    until(lambda: consumer.metric(ACKED) == 2, "the next message is handled")
    consumer.terminate()
    assert consumer.wait() == 0
    assert bodies(record) == ["slow", "next"]
    assert consumer.event("stopped")["handled"] == 2
    take(channel, mq_ch, 0)


def test_a_consumer_asks_for_a_timeout_that_its_handlers_fit_in(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """From RabbitMQ 4.3 on: it goes by what a consumer asks for, whatever a policy says."""
    if not broker.name.startswith("container"):
        pytest.skip("an older broker has one time for all consumers")
    policy = json.dumps({"consumer-timeout": BELOW})
    broker.rabbitmqctl("set_policy", mq_ch, f"^{mq_ch}$", policy, "--apply-to", "quorum_queues")
    record = tmp_path / "record"
    try:
        consumer = held(start, channel, mq_ch, record)
        with pytest.raises(AssertionError):
            until(lambda: consumer.metric('mq_reconnects_total{connection="consumer"}'), "the broker cuts it", 5.0)
        Path(f"{record}.go.slow").touch()
        until(lambda: consumer.metric(ACKED) == 1, "it is handled")
        assert bodies(record) == ["slow"]
    finally:
        broker.rabbitmqctl("clear_policy", mq_ch)


def test_a_classic_queue_is_consumed_though_it_refuses_the_timeout(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """RabbitMQ 4.3 knows the argument for quorum queues alone: the consumer connects again without it."""
    record = tmp_path / "record"
    channel.queue_declare(mq_ch, durable=True)
    publish(channel, mq_ch, ["one"])
    settings = {"MQ_TOPOLOGY": "none", "CONSUMER_HANDLER": f"{PLUGINS}:record", "RECORD": record, **QUICK}
    consumer = start("consumer", **settings)
    until(lambda: bodies(record) == ["one"], "it is handled")
    until(lambda: consumer.metric(ACKED) == 1, "and acknowledged")
