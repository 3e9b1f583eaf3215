"""CONSUMER_RATE: at most so many messages a second, and the broker keeps the rest for others."""

import time
from pathlib import Path

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.broker.test_stale_channel import UNSETTLED, publish
from tests.processes import until
from tests.system.kit import PLUGINS, Start, bodies, compare, take

RATE, SECONDS = 40, 5


def settings(tmp_path: Path, rate: float, workers: int) -> dict[str, object]:
    handler = {"CONSUMER_HANDLER": f"{PLUGINS}:record", "RECORD": tmp_path / "record"}
    return handler | {"CONSUMER_RATE": rate, "CONSUMER_WORKERS": workers}


@pytest.mark.parametrize("workers", [1, 8])
def test_a_rate_is_kept_and_a_second_s_worth_is_sent_ahead(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, workers: int
) -> None:
    """Within a tenth over some seconds, by all handlers together; a stop in the middle is at once and loses nothing."""
    record = tmp_path / "record"
    sent = [str(number) for number in range(RATE * SECONDS * 2)]
    consumer = start("consumer", **settings(tmp_path, RATE, workers)).wait_ready()
    publish(channel, mq_ch, sent)
    until(lambda: len(bodies(record)) >= RATE, "it is under way")
    began, before, held = time.monotonic(), len(bodies(record)), 0.0
    while time.monotonic() - began < SECONDS:
        held = max(held, consumer.metric(UNSETTLED))
        time.sleep(0.1)
    count, seconds = len(bodies(record)) - before, time.monotonic() - began
    assert RATE * seconds * 0.5 <= count <= RATE * seconds * 1.1  # a busy machine may not give it the time
    # The broker's count, too: what is ready and what was handled is all but what it has sent.
    declared = channel.queue_declare(mq_ch, passive=True)
    assert RATE / 2 < held <= RATE
    assert declared.method.message_count >= len(sent) - len(bodies(record)) - RATE
    consumer.terminate()
    assert consumer.wait(3) == 0
    done = [body.encode() for body in bodies(record)]
    compare([body.encode() for body in sent], done + [body for _, body in take(channel, mq_ch, len(sent) - len(done))])


def test_a_stop_does_not_wait_for_the_next_turn(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Which is minutes away; heartbeats go on meanwhile, and the message is there for another consumer."""
    more = {"MQ_HEARTBEAT": "1s"}
    consumer = start("consumer", **settings(tmp_path, 0.005, 1) | more).wait_ready()
    publish(channel, mq_ch, ["first", "second"])
    until(lambda: consumer.metric(UNSETTLED) == 1 and bodies(tmp_path / "record") == ["first"], "the second waits")
    time.sleep(4)
    assert consumer.reasons() == []
    assert consumer.metric('mq_reconnects_total{connection="consumer"}') == 0
    consumer.terminate()
    assert consumer.wait(3) == 0
    assert bodies(tmp_path / "record") == ["first"]
    take(channel, mq_ch, 1)
