"""What other AMQP clients see of us, and what we take from them."""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pika import BasicProperties, data
from pika.adapters.blocking_connection import BlockingChannel

from tests.broker.raw import Raw, entry
from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import PLUGINS, Start, bodies, handled, take

SMALL_FRAME = 8192  # bytes; the smallest that every broker takes


def test_any_client_reads_what_the_producer_sends(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """Persistent, named, dated, typed, and with its time of publishing to the millisecond."""
    assert start("producer", "--count", "2", "--rate", "100").wait() == 0
    (properties, body), (second, _) = take(channel, mq_ch, 2)
    assert body == b"Hello World 1!"
    assert properties.delivery_mode == 2
    assert properties.message_id
    assert properties.message_id != second.message_id
    assert (properties.content_type, properties.content_encoding) == ("text/plain", "utf-8")
    assert abs(properties.timestamp - time.time()) < 60
    assert 0 <= properties.headers["mq-ms"] < 1000


def test_a_message_without_any_property_is_handled(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Nothing is known of it but its body, which need be no text and no byte at all."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", RECORD=record).wait_ready()
    for body in (b"", b"\xff\x00"):
        channel.basic_publish("", mq_ch, body, mandatory=True)
    until(lambda: len(handled(record)) == 2, "both are handled")
    unknown = {"message_id": None, "attempt": 1, "age": None}
    assert handled(record) == [{"body": body, **unknown} for body in ("", "\xff\x00")]
    until(lambda: consumer.metric('consumer_settled_total{outcome="ack"}') == 2, "both are acknowledged")


@pytest.mark.usefixtures("small_frames")
def test_through_small_frames_all_sizes_come(start: Start, mq_ch: str, tmp_path: Path) -> None:
    """Published, and once more as the copies of a retry; a larger frame would end each connection anew."""
    source, record = tmp_path / "source", tmp_path / "record"
    sizes = (1, SMALL_FRAME - 8, SMALL_FRAME - 7, 2 * SMALL_FRAME, 40_000, 2)
    source.write_text("".join("x" * size + "\n" for size in sizes))
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:tell", "CONSUMER_RETRY_DELAYS": "100ms", "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    assert start("producer", "--source", f"lines:{source}").wait() == 0
    until(lambda: len(handled(record)) >= 2 * len(sizes), "all are handled twice")
    assert sorted(map(len, bodies(record))) == sorted(sizes * 2)
    assert consumer.metric('mq_reconnects_total{connection="consumer_retry"}') == 0


@pytest.fixture
def small_frames(broker: Broker) -> Iterator[None]:
    """As a broker has them whose `frame_max` was set low; for connections that begin now."""
    setting = "application:set_env(rabbit, frame_max, {})."
    broker.rabbitmqctl("eval", setting.format(SMALL_FRAME))
    yield
    broker.rabbitmqctl("eval", setting.format(131_072))


def nested(depth: int) -> bytes:
    value = b"F" + bytes(4)
    for _ in range(depth):
        inside = entry(b"n", value)
        value = b"F" + struct.pack(">I", len(inside)) + inside
    return value


HEADERS = {
    b"bad year": entry(b"year-10000", b"T" + struct.pack(">Q", 253_402_300_800)),
    b"bad second": entry(b"ms", b"T" + struct.pack(">Q", 2**63)),
    b"bad depth": entry(b"deep", nested(3000)),
    b"bad float": entry(b"pi", b"d" + struct.pack(">d", 3.14159)),
    b"bad infinity": entry(b"huge", b"d" + struct.pack(">d", 1e300)),
}


@contextmanager
def raw_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Decoded tables hold their own bytes, as `raw`."""

    def keep(encoded: bytes, offset: int) -> tuple[dict[str, bytes], int]:
        end = offset + 4 + struct.unpack_from(">I", encoded, offset)[0]
        return {"raw": encoded[offset + 4 : end]}, end

    with monkeypatch.context() as patch:
        patch.setattr(data, "decode_table", keep)
        yield


@pytest.mark.fence("pika 1.4 loses its connection over these, https://github.com/pika/pika/issues/1698")
def test_headers_that_pika_cannot_read_harm_no_neighbour_and_park_unchanged(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A date beyond the year 9999, absurd nesting, floats: each is handed to the handler, and parked byte for byte."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:reject_bad", RECORD=record).wait_ready()
    for body, table in HEADERS.items():
        channel.basic_publish("", mq_ch, body, Raw(entry(b"first", b"t\x01") + table), mandatory=True)
        channel.basic_publish("", mq_ch, b"neighbour", mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == len(HEADERS), "all bad ones parked")
    until(lambda: len(bodies(record)) == 2 * len(HEADERS), "all are handled")
    assert consumer.metric('mq_reconnects_total{connection="consumer"}') == 0
    assert consumer.metric('mq_reconnects_total{connection="consumer_retry"}') == 0
    with raw_tables(monkeypatch):
        parked = {body: properties.headers["raw"] for properties, body in take(channel, f"{mq_ch}.dead", len(HEADERS))}
    for body, table in HEADERS.items():
        assert table in parked[body], body
        assert b"mq-last-error" in parked[body]


def test_a_header_that_plain_pika_cannot_read_loses_no_neighbour_and_is_parked(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the broker, after 21 deliveries that each cost pika 1.4 its connection; by the handler if it can be read."""
    record, good = tmp_path / "record", [f"good{number}" for number in range(10)]
    start("consumer", CONSUMER_IDLE_EXIT="1ms").wait()
    for body in (*good[:5], "bad", *good[5:]):
        properties = Raw(HEADERS[b"bad year"]) if body == "bad" else BasicProperties(message_id=body)
        channel.basic_publish("", mq_ch, body, properties, mandatory=True)
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:reject_bad", "MQ_BACKOFF_MAX": "100ms", "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    until(lambda: {"bad", *bodies(record)} == {"bad", *good}, "all neighbours are handled")

    def parked() -> int:
        return int(channel.queue_declare(f"{mq_ch}.dead", passive=True).method.message_count)

    until(parked, "it is parked", 60)
    until(lambda: consumer.metric("consumer_unsettled") == 0, "all are settled")
    consumer.wait_ready()
    channel.basic_publish("", mq_ch, b"after", mandatory=True)
    until(lambda: "after" in bodies(record), "the next message is handled")
    consumer.terminate()
    assert consumer.wait() == 0
    take(channel, mq_ch, 0)
    with raw_tables(monkeypatch):
        [(properties, body)] = take(channel, f"{mq_ch}.dead", 1)
    assert body == b"bad"
    assert HEADERS[b"bad year"] in properties.headers["raw"]
    assert (b"delivery_limit" in properties.headers["raw"]) != (b"mq-last-error" in properties.headers["raw"])


@pytest.mark.fence("pika 1.4 loses its connection over these, https://github.com/pika/pika/issues/1698")
def test_headers_of_our_names_from_outside_end_no_consumer_and_no_replay(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Numbers that can be read and not written: each would be its end again at every delivery."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:reject_bad", RECORD=record).wait_ready()
    values = {
        b"mq-attempt": b"T" + b"\xff" * 8,
        b"mq-first-error": b"T" + b"\xff" * 8,
        b"mq-replays": b"l\x7f" + b"\xff" * 7,
    }
    for name, value in values.items():
        channel.basic_publish("", mq_ch, b"bad " + name, Raw(entry(name, value)), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == len(values), "all are parked")
    replay = start("consumer", "dead-letters", "replay", "--again")
    assert replay.wait() == 0, replay.stderr.read_text()
    assert "replayed 3 of 3" in replay.stderr.read_text()
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 2 * len(values), "parked again")
    assert consumer.metric('mq_reconnects_total{connection="consumer"}') == 0


@pytest.mark.fence("pika 1.4 loses its connection over it, https://github.com/pika/pika/issues/1698")
def test_a_header_that_pika_cannot_read_does_not_hide_how_often_it_was_tried(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker sorts headers by name: ours come behind a time in milliseconds, and would be overlooked for ever."""
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "CONSUMER_RETRY_DELAYS": "50ms,100ms", "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    created = entry(b"created-at", b"T" + struct.pack(">Q", int(time.time() * 1000)))
    channel.basic_publish("", mq_ch, b"late", Raw(created), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 1, "it is parked")
    assert [row["attempt"] for row in handled(record)] == [1, 2, 3]
    with raw_tables(monkeypatch):
        take(channel, f"{mq_ch}.dead", 1)


def test_a_copy_goes_to_its_own_queue_alone(start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path) -> None:
    """The header CC adds queues to each publish; a failed message would multiply there, and be confirmed by them."""
    record, audit = tmp_path / "record", f"{mq_ch}.audit"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "CONSUMER_RETRY_DELAYS": "50ms,100ms", "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    channel.queue_declare(audit, durable=True, arguments={"x-queue-type": "quorum"})
    channel.basic_publish("", audit, b"x", BasicProperties(headers={"CC": [mq_ch]}), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 1, "it is parked")
    assert [row["attempt"] for row in handled(record)] == [1, 2, 3]
    [(parked, _)] = take(channel, f"{mq_ch}.dead", 1)
    assert parked.headers["mq-cc"] == [mq_ch]
    assert "CC" not in parked.headers
    take(channel, audit, 1)


@pytest.mark.fence("pika sends it, and the broker closes the connection")
def test_a_header_that_no_broker_reads_is_refused_here_and_its_neighbours_go_through(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """The broker would close the connection over it, each time anew."""
    producer = start("producer", "--source", f"{PLUGINS}:no_number")
    assert producer.wait() == 1
    assert producer.event("stopped")["refused"] == 1
    assert "nan in a header" in producer.event("refused")["reason"]
    assert [body for _, body in take(channel, mq_ch, 2)] == [b"first", b"last"]
