"""Async handlers and sources, and set-up and tear-down by context managers, on real brokers."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from local.reports import get
from tests.broker.test_stale_channel import UNSETTLED, connections, publish
from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import QUICK, Start, bodies, handled, take

PLUGINS = "tests.broker.coroutines"
ACKED = 'consumer_settled_total{outcome="ack"}'
ASYNC = {"CONSUMER_HANDLER": f"{PLUGINS}:handle", "CONSUMER_RETRY_DELAYS": "50ms", **QUICK}
both = pytest.mark.parametrize("kind", ["opened", "opened_async"])


def test_async_handlers_run_at_a_time_and_are_acknowledged_tried_again_or_parked(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """One that takes too long is cancelled, and comes again; the process is live all the while."""
    record = tmp_path / "record"
    settings = {"CONSUMER_WORKERS": 500, "CONSUMER_HANDLER_TIMEOUT": "1s", **ASYNC}
    consumer = start("consumer", RECORD=record, **settings).wait_ready()
    names = ["fail", "reject", "long", *map(str, range(200))]
    publish(channel, mq_ch, names)
    until(lambda: consumer.metric(ACKED) == len(names) - 1, "all but one are acknowledged")
    assert consumer.metric("consumer_handler_seconds_count") == len(names) + 2
    assert Counter(bodies(record)) == Counter(each for each in names if each != "reject")
    assert {row["body"]: row["attempt"] for row in handled(record) if row["attempt"] == 2} == {"fail": 2, "long": 2}
    assert consumer.live()
    [why] = [line for line in consumer.log() if line.get("message_id") == "long" and line.get("error")]
    assert why["error"] == "TimeoutError: cancelled after 1s, CONSUMER_HANDLER_TIMEOUT"
    consumer.terminate()
    assert consumer.wait() == 0
    [(_, parked)] = take(channel, f"{mq_ch}.dead", 1)
    assert parked == b"reject"
    take(channel, mq_ch, 0)


def test_a_stop_waits_for_async_handlers_and_hands_back_what_none_began_with(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    consumer = start("consumer", RECORD=record, CONSUMER_WORKERS=2, **ASYNC).wait_ready()
    publish(channel, mq_ch, [*"abcdefgh", "hold1", "hold2", "next"])
    until(lambda: "hold2" in bodies(record), "two handlers wait")
    consumer.terminate()
    until(lambda: consumer.metric(UNSETTLED) == 2, "the last one is handed back")
    for name in ("hold1", "hold2"):
        Path(f"{record}.go.{name}").touch()
    assert consumer.wait() == 0
    assert Counter(bodies(record)) == Counter([*"abcdefgh", *["hold1", "hold2"] * 2])
    assert [body for _, body in take(channel, mq_ch, 1)] == [b"next"]


def test_an_async_handler_whose_connection_is_lost_runs_once(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """Its redelivery waits for it, and takes its outcome."""
    record = tmp_path / "record"
    consumer = start("consumer", RECORD=record, CONSUMER_WORKERS=4, **ASYNC).wait_ready()
    publish(channel, mq_ch, ["hold"])
    until(lambda: bodies(record) == ["hold"], "it runs")
    [pid] = connections(broker, "consumer")
    broker.rabbitmqctl("close_connection", pid, "closed by the test")
    until(lambda: consumer.metric('mq_reconnects_total{connection="consumer"}') == 1, "it connects anew")
    until(lambda: consumer.metric(UNSETTLED) == 1, "the message is delivered again")
    Path(f"{record}.go.hold").touch()
    until(lambda: consumer.metric(ACKED) == 1, "its success is the redelivery's")
    consumer.terminate()
    assert consumer.wait() == 0
    assert bodies(record) == ["hold", "hold"], "it began once, and ended once"
    take(channel, mq_ch, 0)


def test_an_async_handler_that_blocks_its_loop_is_named_by_livez(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """It cannot be cancelled; a new process is what helps."""
    record = tmp_path / "record"
    settings = {"CONSUMER_WORKERS": 4, "CONSUMER_HANDLER_TIMEOUT": "1s", **ASYNC}
    consumer = start("consumer", RECORD=record, **settings).wait_ready()
    publish(channel, mq_ch, ["hold", "block"])
    until(lambda: not consumer.live(), "it is not live")
    said = json.loads(get(f"{consumer.address}/livez")[1])["reasons"]
    assert said[0].startswith("the handler of message block has blocked the event loop for ")
    consumer.kill()
    take(channel, mq_ch, 2)


@both
def test_a_handler_is_set_up_before_the_first_message_and_torn_down_before_the_connection_closes(
    kind: str, start: Start, channel: BlockingChannel, mq_ch: str, *, broker: Broker, tmp_path: Path
) -> None:
    """Once, and after the last handler has ended."""
    record = tmp_path / "record"
    settings = {**ASYNC, "CONSUMER_HANDLER": f"{PLUGINS}:{kind}", "CONSUMER_WORKERS": 3}
    consumer = start("consumer", RECORD=record, **settings)
    until(lambda: bodies(record) == ["setting up"], "it is being set up")
    assert consumer.reasons() == ["the handler is being set up"]
    assert consumer.live()
    assert connections(broker, "consumer") == []
    Path(f"{record}.go.set-up").touch()
    consumer.wait_ready()
    publish(channel, mq_ch, ["one", "fail", "hold"])
    until(lambda: consumer.metric(ACKED) == 2, "two are handled")
    consumer.terminate()
    until(lambda: consumer.event("stopping"), "it stops")
    assert "tearing down" not in bodies(record), "a handler runs"
    Path(f"{record}.go.hold").touch()
    until(lambda: bodies(record)[-1] == "tearing down", "it is torn down")
    assert len(connections(broker, "consumer")) == 1, "what is handled is acknowledged, and the connection open"
    assert consumer.code() is None
    Path(f"{record}.go.tear-down").touch()
    assert consumer.wait() == 0
    found = bodies(record)
    assert found[:2] == ["setting up", "set up"]
    assert found[-2:] == ["tearing down", "torn down"]
    assert Counter(found[2:-2]) == Counter(["one", "fail", "hold", "hold"])
    take(channel, mq_ch, 0)


@both
@pytest.mark.parametrize(("fails", "code"), [("config", 2), ("yes", 1)])
def test_a_set_up_that_fails_is_said_and_nothing_is_taken(
    kind: str, fails: str, code: int, *, start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    channel.queue_declare(mq_ch, durable=True, arguments={"x-queue-type": "quorum"})
    publish(channel, mq_ch, ["one"])
    settings = {**ASYNC, "CONSUMER_HANDLER": f"{PLUGINS}:{kind}", "MQ_TOPOLOGY": "none", "FAILS": fails}
    consumer = start("consumer", RECORD=record, **settings)
    assert consumer.wait() == code
    if fails == "config":
        last = consumer.stderr.read_text().splitlines()[-1]
        assert last == "CONSUMER_HANDLER: SHOP_DB: name the database"
    else:
        said = consumer.event("the handler's set-up failed")
        assert said["exception"].endswith("ConnectionError: no database")
    assert not consumer.event("connected")
    [(properties, _)] = take(channel, mq_ch, 1)
    assert not (properties.headers or {}).get("x-delivery-count"), "nobody took it"


def received(channel: BlockingChannel, queue: str, count: int) -> list[str]:
    return [body.decode() for _, body in take(channel, queue, count)]


def test_an_async_source_loses_nothing(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """Through a lost connection."""
    settings: dict[str, Any] = {"PRODUCER_SOURCE": f"{PLUGINS}:numbers", "COUNT": 3000, **QUICK}
    producer = start("producer", RECORD=tmp_path / "record", PRODUCER_RATE=1500, **settings).wait_ready()
    until(lambda: producer.metric("producer_confirmed_total") > 300, "some are confirmed")
    for pid in connections(broker, "producer"):
        broker.rabbitmqctl("close_connection", pid, "closed by the test")
    assert producer.wait() == 0
    assert producer.event("stopped")["confirmed"] == 3000
    found = set[str]()
    while (got := channel.basic_get(mq_ch, auto_ack=True))[0]:
        found.add((got[2] or b"").decode())
    assert found == set(map(str, range(3000))), "what was in flight may be there twice"


def test_a_stopped_async_source_is_torn_down_and_what_it_gave_is_confirmed(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """It waits for ever, and is cancelled there."""
    record = tmp_path / "record"
    producer = start("producer", "--source", f"{PLUGINS}:source_async", RECORD=record, COUNT=70).wait_ready()
    Path(f"{record}.go.set-up").touch()
    until(lambda: producer.metric("producer_confirmed_total") == 70, "all are confirmed")
    producer.terminate()
    until(lambda: bodies(record)[-1] == "tearing down", "it is torn down")
    assert producer.code() is None
    Path(f"{record}.go.tear-down").touch()
    assert producer.wait() == 0
    assert bodies(record)[-1] == "torn down"
    assert received(channel, mq_ch, 70) == list(map(str, range(70)))


@pytest.mark.parametrize("kind", ["source", "source_async"])
@pytest.mark.parametrize(("fails", "code"), [("config", 2), ("yes", 1)])
def test_a_source_whose_set_up_fails_is_said(
    kind: str, fails: str, code: int, *, start: Start, mq_ch: str, tmp_path: Path
) -> None:
    producer = start("producer", "--source", f"{PLUGINS}:{kind}", RECORD=tmp_path / "record", COUNT=7, FAILS=fails)
    assert producer.wait() == code
    assert producer.event("stopped")["published"] == 0
    if fails == "config":
        assert producer.stderr.read_text().splitlines()[-1] == "PRODUCER_SOURCE: SHOP_DB: name the database"
    else:
        assert producer.event("the source failed")["exception"].endswith("ConnectionError: no database")


def test_a_source_is_torn_down_behind_its_last_message(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    producer = start("producer", "--source", f"{PLUGINS}:source", RECORD=record, COUNT=700)
    Path(f"{record}.go.set-up").touch()
    Path(f"{record}.go.tear-down").touch()
    assert producer.wait() == 0
    assert bodies(record) == ["setting up", "set up", "tearing down", "torn down"]
    assert received(channel, mq_ch, 700) == list(map(str, range(700)))
