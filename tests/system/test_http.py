"""`PRODUCER_SOURCE=http` on a real broker: 202 is a promise, and everything else says what to do."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker, outlive_a_kill
from tests.processes import ROOT, until
from tests.system.http import Client, HttpProducer, Post
from tests.system.kit import PLUGINS, QUICK, Start, compare, handled, take

CONTEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WATERMARK = "set_vm_memory_high_watermark"


@pytest.fixture
def producer(start: Start) -> HttpProducer:
    opened = HttpProducer(start)
    opened.process.wait_ready()
    return opened


def test_what_was_answered_202_is_in_the_queue(producer: HttpProducer, channel: BlockingChannel, mq_ch: str) -> None:
    """As it was posted: type, id, trace, bytes, and the order of a batch."""
    answer = producer.post(b"\x00\xff\n", Content_Type="image/png", Idempotency_Key="k", traceparent=CONTEXT)
    assert (answer.status, answer.says) == (202, {"message_ids": ["k"]})
    [(properties, body)] = take(channel, mq_ch, 1)
    assert (body, properties.content_type, properties.message_id) == (b"\x00\xff\n", "image/png", "k")
    assert (properties.headers["traceparent"], properties.delivery_mode) == (CONTEXT, 2)
    lines = b"".join(b'{"n":%d}\n' % number for number in range(500))
    answer = producer.post(lines, Content_Type="application/x-ndjson")
    assert answer.status == 202
    came = take(channel, mq_ch, 500)
    assert [body for _, body in came] == lines.split()
    assert [properties.message_id for properties, _ in came] == answer.says["message_ids"]
    producer.process.terminate()
    assert producer.process.wait() == 0


def test_broker_and_producer_killed_under_clients_lose_nothing_that_was_confirmed(
    start: Start, broker: Broker, tmp_path: Path
) -> None:
    """Clients that try again with the same key get all of it through, and what came twice has the same id."""
    producer = HttpProducer(start, **QUICK)
    producer.process.wait_ready()
    ready = time.monotonic()
    clients = [Client(producer, str(number)) for number in range(4)]
    until(lambda: sum(len(client.confirmed) for client in clients) > 400, "it flows")
    outlive_a_kill(ready)
    broker.kill()
    producer.process.kill()
    before = [len(client.confirmed) for client in clients]
    until(lambda: all(client.again for client in clients), "all have noticed")
    producer.open()
    broker.start()
    until(lambda: all(len(c.confirmed) > b + 10 for c, b in zip(clients, before, strict=True)), "it flows again")
    for client in clients:
        client.stop()
    producer.process.terminate()
    assert producer.process.wait() == 0
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:record", "CONSUMER_IDLE_EXIT": "1s", "RECORD": record}
    assert start("consumer", **settings).wait() == 0
    came = handled(record)
    assert all(row["message_id"] == row["body"] for row in came)
    unclear = {client.unclear for client in clients}
    bodies = [body for row in came if (body := row["body"].encode()) not in unclear]
    compare([key.encode() for client in clients for key in client.confirmed], bodies, duplicates=3 * len(clients))


def test_a_broker_in_memory_alarm_is_a_503_and_nothing_is_taken(producer: HttpProducer, broker: Broker) -> None:
    """With the reason, and when to come again; afterwards it goes on."""
    assert producer.post(b"before").status == 202
    try:
        broker.rabbitmqctl(WATERMARK, "0")
        waiting = Post(producer, b"the broker says that it is in alarm when somebody publishes")
        until(lambda: producer.process.reasons() == ["producer: blocked"], "it knows")
        answer = producer.post(b"meanwhile")
        assert (answer.status, answer.says["reasons"]) == (503, ["producer: blocked"])
        assert answer.retry_after
    finally:
        broker.rabbitmqctl(WATERMARK, "0.6")
    assert waiting.answer().status == 202
    until(lambda: producer.post(b"afterwards").status == 202, "it goes on")


def test_a_broker_that_is_away_is_a_503_from_the_first_moment_on(start: Start) -> None:
    """Rather than a port that refuses."""
    producer = HttpProducer(start, MQ_URL="amqp://127.0.0.1:1/")
    until(lambda: producer.process.reasons() is not None, "it is up")
    answer = producer.post(b"x")
    assert answer.status == 503
    assert answer.says["reasons"][0].startswith("producer: ")
    until(lambda: "nothing listens there" in str(producer.post(b"x").says["reasons"]), "it knows why")
    producer.process.terminate()
    assert producer.process.wait() == 0


def test_a_stop_answers_all_that_was_let_in_and_lets_nobody_in(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """The requests in flight are confirmed within the grace, and exit 0."""
    producer = HttpProducer(start, PRODUCER_RATE=2)
    producer.process.wait_ready()
    posts = [Post(producer, b"%d" % number) for number in range(4)]
    until(lambda: producer.process.metric("producer_http_pending") >= 3, "they wait")
    producer.process.terminate()
    until(lambda: "draining" in (producer.process.reasons() or []), "it stops")
    refused = producer.post(b"late")
    assert (refused.status, refused.says["reasons"]) == (503, ["draining"])
    assert [post.answer().status for post in posts] == [202] * 4
    assert producer.process.wait() == 0
    assert sorted(body for _, body in take(channel, mq_ch, 4)) == [b"0", b"1", b"2", b"3"]


def test_who_still_waits_at_the_end_of_the_grace_is_told(start: Start) -> None:
    """It is not cut off, and the exit code says that something was left."""
    producer = HttpProducer(start, PRODUCER_RATE=0.1, SHUTDOWN_GRACE="500ms")
    producer.process.wait_ready()
    first, second = Post(producer, b"1"), Post(producer, b"2")
    until(lambda: producer.process.metric("producer_http_pending") == 1, "one is through")
    producer.process.terminate()
    answers = sorted([first.answer(), second.answer()])
    assert [answer.status for answer in answers] == [202, 503]
    assert "may still arrive" in answers[1].says["error"]
    assert producer.process.wait() == 1
    assert producer.process.event("stopped")["left"] == 1


def test_a_message_over_the_brokers_limit_is_named_and_its_neighbours_go_through(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """The broker closes the channel over it; the client is told which, and the producer stays open."""
    limits = {"MQ_MAX_BODY": 20_000_000, "PRODUCER_HTTP_MAX_BODY": 20_000_000}
    producer = HttpProducer(start, **limits, **QUICK)
    producer.process.wait_ready()
    batch = b"first\n" + b"x" * 17 * 1024 * 1024 + b"\nlast"
    answer = producer.post(batch, Content_Type="application/x-ndjson", Idempotency_Key="k")
    # The limit of RabbitMQ 3 is 128 MiB, that of 4 is 16 MiB.
    if broker.name == "debian":
        assert answer.status == 202
        return
    assert (answer.status, answer.says["refused"]) == (422, ["k-2"])
    assert [body for _, body in take(channel, mq_ch, 2)] == [b"first", b"last"]
    assert producer.post(b"next").status == 202


def test_the_commands_of_the_manual_do_what_it_says(start: Start) -> None:
    """Each `curl` of docs/http.md, and the status below it."""
    producer = HttpProducer(start)
    producer.process.wait_ready()
    text = (ROOT / "docs" / "http.md").read_text().replace("localhost:8000", f"127.0.0.1:{producer.port}")
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*curl .*(?:(?<=\\)\n.*)*)\n(HTTP/1.1 .*)", text, re.MULTILINE)
    assert len(commands) >= 2
    for command, expected in commands:
        done = subprocess.run(
            ["bash", "-c", command], env=os.environ, capture_output=True, text=True, timeout=30, check=True
        )
        assert done.stdout.startswith(expected), command
