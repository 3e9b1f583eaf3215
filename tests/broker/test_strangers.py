"""What a stranger's headers may decide: nothing of where our copies go, and nothing of whether they are confirmed."""

import random
import struct
from contextlib import closing
from pathlib import Path

import pytest
from pika import BasicProperties, BlockingConnection, URLParameters
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from common.amqp.topology import Topology
from consumer.intake import PROPERTIES_WEIGHT
from consumer.subscription import MAX_UNSETTLED_BYTES
from deploy.definitions import users
from tests.broker.raw import Raw, array, entry, table, text
from tests.brokers import Broker
from tests.parking import run
from tests.processes import until
from tests.system.kit import PLUGINS, Start, bodies, take
from tests.system.manage import add_user, permit

SEED, MESSAGES = 25, 60
QUORUM = {"x-queue-type": "quorum"}
NAMES = [b"CC", b"BCC", b"cc", b"Bcc", b"mq-cc", b"mq-bcc", b"x-death", b"x-first-death-queue", b"x-delivery-count"]
RETRY = 'mq_reconnects_total{connection="consumer_retry"}'


def declare(channel: BlockingChannel, name: str) -> None:
    channel.queue_declare(name, durable=True, arguments=QUORUM)


def values(target: str, main: str) -> list[bytes]:
    """Of each type, and all of what the broker itself writes there."""
    death = table(entry(b"queue", text(main)), entry(b"reason", text("expired")), entry(b"count", b"l" + bytes(8)))
    routes = [array(text(target)), array(text(target), text(main)), array(), array(b"I\0\0\0\7"), array(array())]
    plain = [text(target), text(""), b"V", b"t\1", b"I\0\0\0\2", b"l" + bytes(7) + b"\x09", b"d" + bytes(8)]
    return [*routes, *plain, table(entry(b"CC", array(text(target)))), array(death), b"T" + bytes(8), b"x\0\0\0\1a"]


def test_where_copies_go_is_not_decided_by_any_headers(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Tables with duplicates, of every type: retried, parked, replayed, and the stranger's queue stays empty."""
    target, record, chance = f"{mq_ch}.stranger", tmp_path / "record", random.Random(SEED)
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "CONSUMER_RETRY_DELAYS": "50ms", "RECORD": record}
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    sent = []
    for number in range(MESSAGES):
        some = values(target, mq_ch)
        entries = [entry(chance.choice(NAMES), chance.choice(some)) for _ in range(chance.randint(1, 5))]
        try:
            sender = channel.connection.channel()
            sender.confirm_delivery()
            sender.basic_publish("", mq_ch, b"%d" % number, Raw(b"".join(entries)), mandatory=True)
            sender.close()
            sent.append(b"%d" % number)
        except AMQPError:  # the broker refused it, so it is nobody's
            pass
    assert len(sent) > MESSAGES / 4
    declare(channel, target)  # only now: what the broker routed there itself is not ours
    consumer = start("consumer", **settings).wait_ready()
    until(lambda: len(bodies(record)) >= 2 * len(sent) and consumer.metric("consumer_unsettled") == 0, "all are parked")
    assert consumer.metric(RETRY) == consumer.metric('mq_reconnects_total{connection="consumer"}') == 0
    consumer.terminate()
    assert consumer.wait() == 0
    run(start, "replay")
    consumer = start("consumer", CONSUMER_IDLE_EXIT="1s", **settings)
    assert consumer.wait() == 0
    take(channel, target, 0)
    parked = take(channel, f"{mq_ch}.dead", len(bodies(record)) // 4)
    assert {body for _, body in parked} == set(sent)


def test_a_stranger_of_least_rights_gets_nothing_where_it_may_not_write(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """It may write to one exchange; we have the documented rights, and it may not use them by the headers of copies."""
    target, record, exchange = f"{mq_ch}.stranger", tmp_path / "record", f"{mq_ch}.x"
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms", CONSUMER_RETRY_DELAYS="50ms").wait() == 0
    declare(channel, target)
    channel.exchange_declare(exchange)
    channel.queue_bind(mq_ch, exchange, "in")
    (ours,) = (user for user in users(Topology(mq_ch, [0.05])) if user.name == "consumer")
    theirs, name = f"{mq_ch}.theirs", f"{mq_ch}.ours"
    with add_user(broker, theirs) as address, add_user(broker, name):
        permit(broker, theirs, configure="^$", write=f"^{exchange}$", read="^$")
        permit(broker, name, configure=ours.configure, write=ours.write, read=ours.read)
        with closing(BlockingConnection(URLParameters(f"amqp://{theirs}:pass@{address}"))) as connection:
            for where, key in (("", target), ("", mq_ch)):
                refused = connection.channel()
                refused.confirm_delivery()
                with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
                    refused.basic_publish(where, key, b"straight")
            sender = connection.channel()
            sender.confirm_delivery()
            list_of = array(text(target), text(mq_ch))
            for header in (b"CC", b"BCC"):
                for entries in (entry(header, array()) + entry(header, list_of), entry(header, list_of) * 3):
                    sender.basic_publish(exchange, "in", header, Raw(entries), mandatory=True)
        settings = {
            "MQ_URL": f"amqp://{name}:pass@{address}",
            "MQ_TOPOLOGY": "assert",
            "CONSUMER_HANDLER": f"{PLUGINS}:fail",
            "CONSUMER_RETRY_DELAYS": "50ms",
            "RECORD": record,
        }
        for _ in range(2):
            assert start("consumer", CONSUMER_IDLE_EXIT="1s", **settings).wait() == 0
            run(start, "replay", MQ_URL=settings["MQ_URL"])
        assert start("consumer", CONSUMER_IDLE_EXIT="1s", **settings).wait() == 0
    channel.exchange_delete(exchange)
    assert len(bodies(record)) == 4 * 2 * 3
    take(channel, target, 0)
    take(channel, mq_ch, 0)
    parked = take(channel, f"{mq_ch}.dead", 4)
    assert sorted(body for _, body in parked) == [b"BCC", b"BCC", b"CC", b"CC"]


@pytest.mark.parametrize("name", [b"CC", b"BCC"])
def test_a_copy_that_has_no_queue_is_not_confirmed_by_a_strangers(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, name: bytes
) -> None:
    """The original stays, since there is no dead-letter queue."""
    target, record = f"{mq_ch}.stranger", tmp_path / "record"
    declare(channel, mq_ch)
    routed = entry(name, array(text(target)))
    channel.basic_publish("", mq_ch, b"kept", Raw(routed * 2), mandatory=True)
    declare(channel, target)
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "CONSUMER_RETRY_DELAYS": "off", "RECORD": record}
    consumer = start("consumer", MQ_TOPOLOGY="none", **settings)
    until(lambda: consumer.event("not connected"), "the copy came back")
    consumer.kill()
    take(channel, target, 0)
    [(_, body)] = take(channel, mq_ch, 1)
    assert body == b"kept"


@pytest.mark.parametrize("value", [text("no list"), b"I" + struct.pack(">I", 7), array(b"V")])
def test_a_strangers_list_of_another_type_costs_no_connection(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path, value: bytes
) -> None:
    """The broker would refuse each copy, and close the channel with all copies on it."""
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "CONSUMER_RETRY_DELAYS": "50ms", "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    headers = entry(b"BCC", array()) + entry(b"BCC", value)
    channel.basic_publish("", mq_ch, b"theirs", Raw(headers), mandatory=True)
    for number in range(30):
        channel.basic_publish("", mq_ch, b"%d" % number, BasicProperties(), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 31, "all are parked")
    assert sorted(bodies(record)) == sorted(2 * ["theirs", *map(str, range(30))])
    assert consumer.metric(RETRY) == 0


def test_a_strangers_delivery_count_does_not_make_handlers_work_one_by_one(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """The broker passes it on at a first delivery; and after a loss the broker's own count holds."""
    record, workers = tmp_path / "record", 8
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    for _ in range(workers):
        headers = {"x-delivery-count": 50, "x-acquired-count": 50}
        channel.basic_publish("", mq_ch, b"hang", BasicProperties(headers=headers), mandatory=True)
    for _ in range(2):
        consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:hang", CONSUMER_WORKERS=workers, RECORD=record)
        consumer.wait_ready()
        until(lambda: consumer.metric("consumer_unsettled") == workers, "all handlers have one")  # noqa: B023
        consumer.kill()


def test_many_small_headers_are_sent_ahead_by_what_they_cost_a_broker(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """A broker keeps them decoded: 200 such messages at a time had one of 1 GiB killed."""
    record, count = tmp_path / "record", 60
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    headers = b"".join(entry(b"%04x" % number, b"t\1") for number in range(18_000))
    for _ in range(count):
        channel.basic_publish("", mq_ch, b"hang", Raw(headers), mandatory=True)
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:hang", "CONSUMER_WORKERS": 200, "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    until(lambda: len(bodies(record)) > 2, "some are sent ahead")
    channel.connection.sleep(2)
    assert consumer.metric("consumer_unsettled") <= MAX_UNSETTLED_BYTES // (PROPERTIES_WEIGHT * len(headers)) < count
    consumer.kill()
