"""Ends by themselves, rates, and the ways to name a broker."""

import time
from pathlib import Path

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from local.ports import free_port
from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import PLUGINS, QUICK, Mute, Start, bodies, take
from tests.system.manage import add_user, set_user


def test_a_source_that_breaks_ends_the_producer_with_1_after_confirming_what_it_gave(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """The error is in the log, and what came before it is in the queue."""
    producer = start("producer", "--source", f"{PLUGINS}:breaking")
    assert producer.wait() == 1
    assert "the source broke" in producer.stderr.read_text()
    assert [body for _, body in take(channel, mq_ch, 5)] == [b"1", b"2", b"3", b"4", b"5"]


def test_a_count_is_exact_and_a_rate_is_kept(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """60 messages at 50 a second take between one and two seconds, and exit 0 follows the last confirm."""
    began = time.monotonic()
    producer = start("producer", "--count", "60", "--rate", "50", "--source", f"{PLUGINS}:numbers")
    assert producer.wait() == 0
    assert time.monotonic() - began > 59 / 50
    taken = [properties for properties, _ in take(channel, mq_ch, 60)]
    sent = [properties.timestamp + properties.headers["mq-ms"] / 1000 for properties in taken]
    assert 0.9 < (sent[-1] - sent[0]) * 50 / 59 < 1.7


def test_a_consumer_that_is_idle_ends_with_0_and_not_before_its_work_is_done(start: Start, tmp_path: Path) -> None:
    """A handler at work is not idle, however long it takes."""
    record = tmp_path / "record"
    assert start("producer", "--count", "1").wait() == 0
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:hold", CONSUMER_IDLE_EXIT="200ms", RECORD=record)
    until(lambda: bodies(record), "it works")
    longer = time.monotonic() + 1
    until(lambda: time.monotonic() > longer, "five times as long")
    assert consumer.code() is None
    Path(f"{record}.go").touch()
    assert consumer.wait() == 0
    assert consumer.event("stopped")["handled"] == 1


@pytest.mark.parametrize("first", ["refused", "unknown", "mute"])
def test_of_several_brokers_the_next_is_tried_when_one_is_dead(first: str, start: Start, broker: Broker) -> None:
    """Nothing listens, no such name, or a peer that never speaks: the second URL is used."""
    with Mute() as mute:
        where = {"refused": f"127.0.0.1:{free_port()}", "unknown": "no-such-host.invalid", "mute": mute.address}[first]
        urls = f"amqp://{where}/,{broker.url}"
        producer = start("producer", "--count", "1", MQ_URL=urls, MQ_CONNECT_TIMEOUT="500ms")
        assert producer.wait() == 0


def test_a_rotated_password_is_read_from_the_file_without_a_restart(
    start: Start, broker: Broker, mq_ch: str, tmp_path: Path
) -> None:
    """Not ready while it is wrong, saying so; ready by itself when the file is right."""
    file = tmp_path / "url"
    with add_user(broker, mq_ch) as address:
        file.write_text(f"amqp://{mq_ch}:pass@{address}\n")
        consumer = start("consumer", MQ_URL="", MQ_URL_FILE=file, **QUICK).wait_ready()
        set_user(broker, mq_ch, "other")
        broker.rabbitmqctl("close_all_connections", "rotated")
        until(lambda: "ACCESS_REFUSED" in str(consumer.reasons()), "the broker_error is a reason")
        file.write_text(f"amqp://{mq_ch}:other@{address}\n")
        consumer.wait_ready()
        text = consumer.stderr.read_text() + str(consumer.metrics())
        assert "pass@" not in text
        assert "other@" not in text
        consumer.terminate()
        assert consumer.wait() == 0
