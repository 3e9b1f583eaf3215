"""What a handler needs is away: nothing is parked, and all of it is handled soon after it is back."""

import time
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker
from tests.processes import Process, until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, compare, handled, take

MANY = 300
THRESHOLD = 5
POISON = [b"poison-0", b"poison-1"]  # an error of the content, and one that could be an outage's


def settings(tmp_path: Path) -> dict[str, object]:
    return {
        "CONSUMER_HANDLER": f"{PLUGINS}:depend",
        "CONSUMER_RETRY_DELAYS": "200ms,400ms",
        "CONSUMER_BREAKER": THRESHOLD,
        "RECORD": tmp_path / "record",
        "AWAY": tmp_path / "away",
        **QUICK,
    }


def outage_seen(consumer: Process) -> None:
    until(lambda: consumer.metric("consumer_breaker_open") == 1, "an outage is seen")


def publish(channel: BlockingChannel, queue: str, numbers: range) -> list[bytes]:
    sent = [b"%d" % number for number in numbers]
    for body in sent:
        channel.basic_publish("", queue, body, mandatory=True)
    return sent


def test_an_outage_of_what_handlers_need_parks_nothing_but_poison(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """It lasts longer than all retries; poison comes before, during and after. Nobody does anything."""
    away = tmp_path / "away"
    consumer = start("consumer", **settings(tmp_path)).wait_ready()
    sent = publish(channel, mq_ch, range(MANY))
    until(lambda: len(bodies(tmp_path / "record")) == MANY, "all are handled")
    away.touch()
    sent += publish(channel, mq_ch, range(MANY, 2 * MANY))
    outage_seen(consumer)
    for body in POISON:
        channel.basic_publish("", mq_ch, body, mandatory=True)
    time.sleep(8)  # retries would be over after 0.6
    assert consumer.reasons() == [], "an outage elsewhere takes no pod out"
    assert consumer.metric('consumer_settled_total{outcome="parked"}') <= 1
    tries = consumer.metric('consumer_settled_total{outcome="postponed"}')
    assert tries < MANY / 2, "one at a time, with pauses"
    away.unlink()
    began = time.monotonic()
    until(lambda: len({*bodies(tmp_path / "record")}) == 2 * MANY, "all are handled", 60)
    assert time.monotonic() - began < 45, "the longest pause and little more"
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == len(POISON), "poison is parked")
    compare(sent, [body.encode() for body in bodies(tmp_path / "record")])
    assert max(row["attempt"] for row in handled(tmp_path / "record")) <= 2
    assert sorted(body for _, body in take(channel, f"{mq_ch}.dead", len(POISON))) == POISON
    assert consumer.metric("consumer_breaker_open") == 0


def test_a_stop_a_kill_and_a_restarted_broker_in_an_outage_lose_and_park_nothing(
    start: Start, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    (tmp_path / "away").touch()
    first = start("consumer", **settings(tmp_path)).wait_ready()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        sent = publish(channel, mq_ch, range(MANY))
    outage_seen(first)
    first.terminate()
    assert first.wait() == 0
    second = start("consumer", **settings(tmp_path)).wait_ready()
    outage_seen(second)
    second.kill()
    third = start("consumer", **settings(tmp_path)).wait_ready()
    outage_seen(third)
    broker.restart()
    third.wait_ready()
    (tmp_path / "away").unlink()
    until(lambda: len({*bodies(tmp_path / "record")}) == MANY, "all are handled", 60)
    # What was being copied when it was killed or cut off.
    compare(sent, [body.encode() for body in bodies(tmp_path / "record")], duplicates=MANY)
    assert third.metric('consumer_settled_total{outcome="parked"}') == 0


@pytest.mark.parametrize("workers", [1, 4])
def test_an_intermittent_failure_opens_no_breaker_and_parks_nothing_that_a_retry_handles(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, workers: int
) -> None:
    """Each second call fails, and half of what fails does so again: 20 retries leave one message in 2 million."""
    more = {"CONSUMER_HANDLER": f"{PLUGINS}:every_second", "CONSUMER_BREAKER": 10, "CONSUMER_WORKERS": workers}
    delays = {"CONSUMER_RETRY_DELAYS": ",".join(f"{50 + number}ms" for number in range(20))}
    consumer = start("consumer", **settings(tmp_path) | more | delays).wait_ready()
    sent = publish(channel, mq_ch, range(MANY))
    until(lambda: len({*bodies(tmp_path / "record")}) == MANY, "all are handled")
    compare(sent, [body.encode() for body in bodies(tmp_path / "record")])
    assert max(row["attempt"] for row in handled(tmp_path / "record")) > 2, "each failure is an attempt"
    consumer.terminate()
    assert consumer.wait() == 0
    assert consumer.event("stopped")["parked"] == consumer.event("stopped")["postponed"] == 0
    assert not [line for line in consumer.log() if line["event"].startswith("breaker")]


@pytest.mark.parametrize("retries", ["200ms,400ms", "off"])
def test_without_the_breaker_an_outage_parks_what_it_meets(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, retries: str
) -> None:
    """As a user may want; and so it is the breaker that keeps them. Without retries there is no place to wait."""
    breaker = "off" if retries != "off" else THRESHOLD
    (tmp_path / "away").touch()
    more = {"CONSUMER_BREAKER": breaker, "CONSUMER_RETRY_DELAYS": retries}
    consumer = start("consumer", **settings(tmp_path) | more).wait_ready()
    publish(channel, mq_ch, range(20))
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 20, "all are parked")
