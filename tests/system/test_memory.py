"""Memory is bounded in bytes, not only in messages."""

import time

from tests.processes import until
from tests.system.kit import PLUGINS, Start, peak
from tests.system.plugins import QUICK

MOST = 150  # MiB; a window of these messages is 400 MiB


def test_a_source_of_large_messages_does_not_fill_the_producer(start: Start) -> None:
    """It is read no faster than the broker confirms, by bytes."""
    producer = start("producer", "--source", f"{PLUGINS}:heavy").wait_ready()
    until(lambda: producer.metric("producer_confirmed_total") >= 300, "three hundred are confirmed", 60)
    assert 0 < peak(producer) < MOST


def test_long_headers_do_not_fill_the_consumer(start: Start) -> None:
    """They count beside bodies: handlers that were quick with small messages are not sent many of these ahead."""
    assert start("producer", "--source", f"{PLUGINS}:ornate").wait() == 0
    consumer = start("consumer", "--handler", f"{PLUGINS}:tire").wait_ready()
    until(lambda: consumer.metric('consumer_settled_total{outcome="ack"}') == QUICK, "the handlers are tired")
    came = -1.0
    while came != (came := consumer.metric("consumer_delivered_total")):  # what was sent ahead is on its way
        time.sleep(0.5)
    assert 0 < peak(consumer) < MOST
