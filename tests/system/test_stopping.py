"""Signals: what is begun is finished, what is not is left in the queue, and nobody waits for long."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.observe.stream import LAST_LINES
from common.process.run import SAME_SIGNAL_WITHIN
from local.ports import free_port
from tests.brokers import Broker
from tests.chaos.proxy import Proxy
from tests.processes import ROOT, metrics, until
from tests.system.kit import PLUGINS, Start, bodies

AT_ONCE = 2.0  # seconds


def test_both_services_stopped_in_mid_flow_lose_nothing_and_handle_nothing_twice(start: Start, tmp_path: Path) -> None:
    """SIGTERM: the producer confirms what it took, the consumer settles what it began; both exit 0."""
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:slow", "RECORD": record}
    consumer = start("consumer", CONSUMER_WORKERS=4, **settings)
    producer = start("producer", "--source", f"{PLUGINS}:numbers", "--rate", "1000")
    until(lambda: len(bodies(record)) > 200, "it flows")
    for process in (producer, consumer):
        process.terminate()
    assert (producer.wait(), consumer.wait()) == (0, 0)
    handled, confirmed = len(bodies(record)), producer.event("stopped")["confirmed"]
    assert handled == consumer.event("stopped")["handled"] < confirmed
    assert start("consumer", CONSUMER_WORKERS=16, CONSUMER_IDLE_EXIT="1s", **settings).wait() == 0
    assert sorted(map(int, bodies(record))) == list(range(1, confirmed + 1))


def test_a_producer_stopped_in_its_first_try_to_connect_sends_what_it_took(
    start: Start, broker: Broker, tmp_path: Path
) -> None:
    """The source is read from the start on, and a handshake takes as long as the network makes it."""
    record = tmp_path / "record"
    with Proxy(broker.port) as proxy:
        proxy.latency = 0.15
        url = broker.url.replace(str(broker.port), str(proxy.port))
        producer = start("producer", "--source", f"{PLUGINS}:announced", RECORD=record, MQ_URL=url)
        until(record.exists, "the source is read")
        producer.terminate()
        assert producer.wait() == 0
    stopped = producer.event("stopped")
    assert stopped["left"] == 0
    assert stopped["confirmed"] > 0


def test_a_log_that_cannot_be_written_stops_no_messages(broker: Broker, mq_ch: str, tmp_path: Path) -> None:
    """A full disk, or a reader who left."""
    env = {**os.environ, "MQ_URL": broker.url, "MQ_CH": mq_ch, "HTTP_PORT": "0", "PRODUCER_RATE": "1000"}
    command = [sys.executable, "-m", "producer", "--source", f"{PLUGINS}:numbers", "--count", "100"]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, env=env, cwd=ROOT, stderr=full, timeout=60, check=False).returncode == 0
    handled = tmp_path / "handled"
    command = [sys.executable, "-m", "consumer", "--handler", f"append:{handled}", "--idle-exit", "2s"]
    with subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE) as consumer:
        assert consumer.stderr
        consumer.stderr.close()
        assert consumer.wait(60) == 0
    assert len(handled.read_text().splitlines()) == 100


@pytest.mark.parametrize("handler", ["log", f"{PLUGINS}:fail"])
def test_a_log_that_nobody_reads_stops_no_messages_and_no_end(
    handler: str, start: Start, broker: Broker, mq_ch: str, tmp_path: Path
) -> None:
    """As `consumer 2>&1 | sleep 60` does: all 5,000 are handled or parked, and SIGTERM ends it in time."""
    port = free_port()
    env = {**os.environ, "MQ_URL": broker.url, "MQ_CH": mq_ch, "HTTP_PORT": str(port), "LOG_FORMAT": "text"}
    env |= {"CONSUMER_HANDLER": handler, "CONSUMER_RETRY_DELAYS": "off", "RECORD": str(tmp_path / "record")}
    assert start("producer", "--source", f"{PLUGINS}:numbers", "--count", "5000", "--rate", "100000").wait() == 0
    with subprocess.Popen([sys.executable, "-m", "consumer"], env=env, cwd=ROOT, stderr=subprocess.PIPE) as consumer:
        settled = 'consumer_settled_total{outcome="%s"}' % ("ack" if handler == "log" else "parked")
        try:
            until(lambda: scrape(port).get(settled) == 5000, "the work goes on")
            began = time.monotonic()
            consumer.terminate()
            assert consumer.wait(20) == 0
            assert time.monotonic() - began < AT_ONCE + LAST_LINES
        finally:
            consumer.kill()


def scrape(port: int) -> dict[str, float]:
    """The metrics, or none while nobody answers."""
    try:
        return metrics(f"http://127.0.0.1:{port}")
    except OSError:
        return {}


def test_a_thread_that_a_handler_left_does_not_keep_the_process(start: Start, tmp_path: Path) -> None:
    """Python waits for such threads at its end, and an hour is longer than any grace."""
    assert start("producer", "--count", "1").wait() == 0
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:leave_a_thread", "RECORD": tmp_path / "record"}
    consumer = start("consumer", CONSUMER_IDLE_EXIT="1s", **settings)
    assert consumer.wait() == 1
    assert "does not end" in consumer.stderr.read_text()
    assert (consumer.event("stopped")["handled"], consumer.event("stopped")["left"]) == (1, 0)


def test_a_handler_that_outlives_the_grace_leaves_its_message_in_the_queue(start: Start, tmp_path: Path) -> None:
    """The process ends at the deadline with 1, and says how many it left; the message comes again."""
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:hold", "RECORD": record, "SHUTDOWN_GRACE": "500ms"}
    assert start("producer", "--count", "1").wait() == 0
    consumer = start("consumer", **settings)
    until(lambda: bodies(record), "it works on the message")
    consumer.terminate()
    assert consumer.wait() == 1
    assert consumer.event("stopped")["left"] == 1
    Path(f"{record}.go").touch()
    assert start("consumer", CONSUMER_IDLE_EXIT="1s", **settings).wait() == 0
    assert bodies(record) == ["Hello World 1!"] * 2


@pytest.mark.parametrize("service", ["producer", "consumer"])
def test_a_service_stopped_while_the_broker_is_away_leaves_at_once(service: str, start: Start, broker: Broker) -> None:
    """There is nobody to wait for. The producer counts what it could not send, and says 1."""
    process = start(service, "--mq-url", "amqp://127.0.0.1:1/", MQ_URL="", SHUTDOWN_GRACE="1m")
    until(process.reasons, "it answers, and says that it is not connected")
    began = time.monotonic()
    process.terminate()
    code = process.wait()
    assert time.monotonic() - began < AT_ONCE
    assert code == (1 if process.event("stopped")["left"] else 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    """Whatever a handler is at, and however long the grace is."""
    record = tmp_path / "record"
    start("producer", "--count", "1")
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:hold", RECORD=record, SHUTDOWN_GRACE="1m")
    until(lambda: bodies(record), "it works on the message")
    consumer.signal(number)
    until(lambda: consumer.reasons() == ["draining"], "it waits for the handler")
    time.sleep(SAME_SIGNAL_WITHIN)
    began = time.monotonic()
    consumer.signal(number)
    assert consumer.wait() == 1
    assert time.monotonic() - began < AT_ONCE
    assert "second signal" in consumer.stderr.read_text()
