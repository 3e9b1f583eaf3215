"""What handlers forward: confirmed before the acknowledgement, and no harm to others where a destination fails."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker
from tests.processes import Process, until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, compare, peak, take
from tests.system.manage import add_user, policy

SOON = 0.3  # seconds; by then an acknowledgement, which waits 5 ms at most, has reached the broker
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DURABLE: dict[str, Any] = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
MANY = 300


def order(value: object, *places: dict[str, str], **more: object) -> bytes:
    return json.dumps({"value": value, "places": places, **more}).encode()


def publish(channel: BlockingChannel, queue: str, body: bytes, name: str, **headers: object) -> None:
    channel.basic_publish("", queue, body, BasicProperties(message_id=name, headers=headers), mandatory=True)


def settings(tmp_path: Path, handler: str = "forward") -> dict[str, object]:
    return {"CONSUMER_HANDLER": f"{PLUGINS}:{handler}", "RECORD": tmp_path / "record", **QUICK}


def settled(consumer: Process, outcome: str) -> float:
    return consumer.metric(f'consumer_settled_total{{outcome="{outcome}"}}')


def test_a_message_is_forwarded_with_its_trace_and_nothing_else_of_its_headers(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """To a queue and to an exchange; persistent, and with ids that differ."""
    for queue in ("one", "two"):
        channel.queue_declare(f"{mq_ch}.{queue}", **DURABLE)
    channel.exchange_declare(f"{mq_ch}.x", "direct", durable=True)
    channel.queue_bind(f"{mq_ch}.two", f"{mq_ch}.x", "key")
    consumer = start("consumer", **settings(tmp_path)).wait_ready()
    places = {"to": f"{mq_ch}.one"}, {"exchange": f"{mq_ch}.x", "routing_key": "key"}
    publish(channel, mq_ch, order({"a": 1}, *places), "first", traceparent=TRACE, tenant="a", CC=["elsewhere"])
    until(lambda: settled(consumer, "ack") == 1, "it is acknowledged")
    [(one, body)] = take(channel, f"{mq_ch}.one", 1)
    [(two, same)] = take(channel, f"{mq_ch}.two", 1)
    assert body == same == b'{"a": 1}'
    assert (one.delivery_mode, one.content_type) == (2, "application/json")
    assert {name for name in one.headers if name != "mq-ms"} - {"x-delivery-count"} == {"traceparent"}
    assert one.headers["traceparent"] == TRACE
    assert len({"first", one.message_id, two.message_id}) == 3
    channel.exchange_delete(f"{mq_ch}.x")


def test_a_message_is_not_acknowledged_before_what_it_forwards_is_confirmed(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """The broker reads no publishes when the handler returns; killed then, the consumer has lost nothing.

    Delivered again, the message is forwarded under the same id.
    """
    channel.queue_declare(f"{mq_ch}.out", **DURABLE)
    first = start("consumer", **settings(tmp_path)).wait_ready()
    place = {"to": f"{mq_ch}.out"}
    publish(channel, mq_ch, order("held", place, hold=True), "held")
    until(lambda: bodies(tmp_path / "record"), "its handler runs")
    broker.rabbitmqctl("set_vm_memory_high_watermark", "0.00001")
    try:
        Path(f"{tmp_path / 'record'}.go").touch()
        until(lambda: first.metric("consumer_retry_unconfirmed") == 1, "it is on its way")
        time.sleep(SOON)
        first.kill()
    finally:
        broker.rabbitmqctl("set_vm_memory_high_watermark", "0.6")
    second = start("consumer", **settings(tmp_path)).wait_ready()
    until(lambda: settled(second, "ack") == 1, "it came again")
    sent = take_all(channel, f"{mq_ch}.out")
    assert {body for _, body in sent} == {b"held"}
    assert len({properties.message_id for properties, _ in sent}) == 1


def take_all(channel: BlockingChannel, queue: str) -> list[tuple[Any, bytes]]:
    got = iter(lambda: channel.basic_get(queue, auto_ack=True), (None, None, None))
    return [(properties, body or b"") for _, properties, body in got]


@pytest.mark.parametrize("kind", ["queue", "exchange", "binding"])
def test_a_missing_destination_is_a_failed_attempt_that_heals_and_harms_no_other_message(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, kind: str
) -> None:
    """Each fourth message goes there; the others are forwarded meanwhile, and the reason is kept."""
    channel.queue_declare(f"{mq_ch}.out", **DURABLE)
    if kind == "binding":
        channel.exchange_declare(f"{mq_ch}.late", "direct", durable=True)
    late = {"to": f"{mq_ch}.late"} if kind == "queue" else {"exchange": f"{mq_ch}.late", "routing_key": "k"}
    more = {"CONSUMER_RETRY_DELAYS": ",".join(["1s"] * 20)}
    consumer = start("consumer", **settings(tmp_path), **more).wait_ready()
    for number in range(MANY):
        place = {"to": f"{mq_ch}.out"} if number % 4 else late
        publish(channel, mq_ch, order(number, place), f"m{number}")
    until(lambda: settled(consumer, "ack") == MANY * 3 / 4, "the others are forwarded")
    until(lambda: settled(consumer, "retry") + settled(consumer, "postponed") >= MANY / 4, "those have failed")
    assert consumer.reasons() == [] or kind == "exchange"
    if kind != "exchange":
        assert consumer.metric('mq_reconnects_total{connection="consumer_retry"}') == 0
    assert consumer.metric("consumer_retry_refused_total") == 0
    channel.queue_declare(f"{mq_ch}.late", **DURABLE)
    if kind != "queue":
        channel.exchange_declare(f"{mq_ch}.late", "direct", durable=True)
        channel.queue_bind(f"{mq_ch}.late", f"{mq_ch}.late", "k")
    until(lambda: settled(consumer, "ack") == MANY, "they are forwarded once it is there", 60)
    if kind == "exchange":
        assert consumer.metric('mq_reconnects_total{connection="consumer_retry"}') <= 3, "each costs all a moment"
        channel.exchange_delete(f"{mq_ch}.late")
    if kind == "binding":
        channel.exchange_delete(f"{mq_ch}.late")
    assert settled(consumer, "parked") == 0
    expected = [b"%d" % number for number in range(MANY)]
    came = take_all(channel, f"{mq_ch}.out") + take_all(channel, f"{mq_ch}.late")
    compare(expected, [body for _, body in came], duplicates=MANY)
    names = {(properties.message_id, body) for properties, body in came}
    assert len(names) == MANY, "a repetition has the same id"


def test_what_can_never_be_forwarded_is_parked_with_the_reason(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """A queue that nobody makes, a body over the limit, a header by which the broker routes."""
    more = {"CONSUMER_RETRY_DELAYS": "100ms", "MQ_MAX_BODY": 1000, "CONSUMER_BREAKER": "off"}
    consumer = start("consumer", **settings(tmp_path), **more).wait_ready()
    places: dict[str, tuple[object, dict[str, Any]]] = {
        "none": ("x", {"to": f"{mq_ch}.none"}),
        "long": ("x" * 1001, {"to": f"{mq_ch}.none"}),
        "steering": ("x", {"to": f"{mq_ch}.none", "headers": {"BCC": ["elsewhere"]}}),
    }
    for name, (value, place) in places.items():
        publish(channel, mq_ch, order(value, place), name)
    until(lambda: settled(consumer, "parked") == 3, "they are parked")
    parked = {properties.message_id: properties for properties, _ in take(channel, f"{mq_ch}.dead", 3)}
    reasons = {name: properties.headers["mq-last-error"] for name, properties in parked.items()}
    assert reasons["none"] == f"NotForwarded: the queue {mq_ch}.none: 312 NO_ROUTE: no queue takes it"
    assert reasons["long"].endswith("1001 bytes are over MQ_MAX_BODY (1000)")
    assert reasons["steering"].startswith("ValueError: the header BCC would send copies elsewhere")
    assert {properties.headers["mq-attempt"] for properties in parked.values()} == {2}


def test_a_forbidden_exchange_fails_its_messages_and_no_others(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """The broker closes the channel with 403; a long name is cut in its words."""
    names = ["secret", "secret" + "x" * 249]
    channel.queue_declare(f"{mq_ch}.out", **DURABLE)
    for name in names:
        channel.exchange_declare(name, "fanout")
    with add_user(broker, mq_ch) as address:
        broker.rabbitmqctl("set_permissions", mq_ch, ".*", "^(?!secret)", ".*")
        more = {"CONSUMER_RETRY_DELAYS": "100ms", "MQ_URL": f"amqp://{mq_ch}:pass@{address}"}
        consumer = start("consumer", **settings(tmp_path), **more).wait_ready()
        for number in range(40):
            place = {"exchange": names[number // 4 % 2]} if number % 4 == 0 else {"to": f"{mq_ch}.out"}
            publish(channel, mq_ch, order(number, place), f"m{number}")
        until(lambda: settled(consumer, "parked") + settled(consumer, "ack") == 40, "all are settled", 60)
        assert consumer.metric('mq_reconnects_total{connection="consumer_retry"}') <= 6
        consumer.terminate()
        consumer.wait()
    for name in names:
        channel.exchange_delete(name)
    reasons = {properties.headers["mq-last-error"] for properties, _ in take(channel, f"{mq_ch}.dead", 10)}
    assert all("403 ACCESS_REFUSED" in reason for reason in reasons)
    came = [body for _, body in take_all(channel, f"{mq_ch}.out")]
    compare([b"%d" % number for number in range(40) if number % 4], came, duplicates=40)


def test_a_full_destination_heals_by_retry_and_holds_up_no_other(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """It refuses what it cannot keep. Somebody empties it at last."""
    full = f"{mq_ch}.full"
    channel.queue_declare(f"{mq_ch}.out", **DURABLE)
    channel.queue_declare(full, **DURABLE)
    with policy(broker, full, {"max-length": 5, "overflow": "reject-publish"}):
        consumer = start("consumer", **settings(tmp_path), CONSUMER_RETRY_DELAYS=",".join(["1s"] * 20)).wait_ready()
        for number in range(MANY):
            publish(channel, mq_ch, order(number, {"to": f"{mq_ch}.out" if number % 4 else full}), f"m{number}")
        until(lambda: settled(consumer, "retry") + settled(consumer, "postponed") > MANY / 8, "it is full")
        until(lambda: settled(consumer, "ack") >= MANY * 3 / 4, "the others are forwarded")
        assert consumer.reasons() == []
        came = []

        def emptied() -> bool:
            came.extend(take_all(channel, full))
            return settled(consumer, "ack") == MANY

        until(emptied, "all are forwarded", 60)
    came += take_all(channel, full) + take_all(channel, f"{mq_ch}.out")
    compare([b"%d" % number for number in range(MANY)], [body for _, body in came])
    assert settled(consumer, "parked") == 0


def test_a_chain_of_two_consumers_loses_nothing_when_both_are_killed_and_ids_stay_the_same(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Who handles twice by a kill forwards under the id that went before."""
    channel.queue_declare(f"{mq_ch}.out.out", **DURABLE)
    chain = [settings(tmp_path, "forward_all"), settings(tmp_path, "forward_all") | {"MQ_CH": f"{mq_ch}.out"}]
    consumers = [start("consumer", **each).wait_ready() for each in reversed(chain)]
    sent = [b"%d" % number for number in range(3000)]
    for place in range(0, len(sent), 1000):
        for body in sent[place : place + 1000]:
            publish(channel, mq_ch, body, body.decode())
        for consumer in consumers:
            consumer.kill()
        consumers = [start("consumer", **each).wait_ready() for each in reversed(chain)]
    came: dict[bytes, set[str]] = {}

    def all_came() -> bool:
        for properties, body in take_all(channel, f"{mq_ch}.out.out"):
            came.setdefault(body, set()).add(properties.message_id)
        return len(came) == len(sent)

    until(all_came, "all came through", 60)
    assert set(came) == set(sent)
    assert {len(names) for names in came.values()} == {1}
    assert len({name for names in came.values() for name in names}) == len(sent)


@pytest.mark.one_wire("memory")
def test_handlers_that_forward_much_more_than_came_are_held_up_and_the_memory_is_bounded(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """A gigabyte would wait in the process while the broker reads nothing."""
    channel.queue_declare(f"{mq_ch}.out", durable=True, arguments={"x-queue-type": "quorum", "x-max-length": 3})
    consumer = start("consumer", **settings(tmp_path, "inflate")).wait_ready()
    for number in range(MANY):  # small, so that many are sent ahead
        publish(channel, mq_ch, b"small", f"s{number}")
    until(lambda: settled(consumer, "ack") == MANY, "they are forwarded")
    for number in range(800):
        publish(channel, mq_ch, b"big", f"b{number}")
    until(lambda: consumer.metric("consumer_unsettled") == 800, "all are sent ahead")
    broker.rabbitmqctl("set_vm_memory_high_watermark", "0.00001")
    Path(f"{tmp_path / 'record'}.go").touch()
    time.sleep(5)
    held = peak(consumer)
    broker.rabbitmqctl("set_vm_memory_high_watermark", "0.6")
    until(lambda: settled(consumer, "ack") == MANY + 800, "all are forwarded", 120)
    assert held < 200
    assert peak(consumer) < 400, "when the broker takes all at once, handlers are quicker than the look at it"
