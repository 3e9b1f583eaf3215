"""Messages that cannot be handled: retried, then parked, never lost and never in the way of others."""

import os
import time
from pathlib import Path
from typing import Any

import pika
import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError

from consumer.delivery import SUSPECT
from tests.brokers import Broker
from tests.parking import rows, run
from tests.processes import Process, until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, handled, take
from tests.system.manage import add_user, policy

SOME = 20
LIMIT = 6  # deliveries after the first; ours of 20 (see test_declaring.py) takes a while


def test_a_failing_message_is_tried_once_and_after_each_delay_then_parked(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Attempts are counted and errors kept in headers; body, properties and foreign headers stay as they were."""
    record = tmp_path / "record"
    consumer = start(
        "consumer", CONSUMER_HANDLER=f"{PLUGINS}:fail", CONSUMER_RETRY_DELAYS="50ms,100ms,150ms", RECORD=record
    ).wait_ready()
    theirs: dict[str, Any] = {"tenant": "a", "list": [1, "two", None], "x-mine": 7}
    sent = BasicProperties(headers=theirs, message_id="one", content_type="image/png", correlation_id="c", priority=3)
    began = time.time()
    channel.basic_publish("", mq_ch, b"\x00body", sent, mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 1, "it is parked")
    assert [row["attempt"] for row in handled(record)] == [1, 2, 3, 4]
    [(parked, body)] = take(channel, f"{mq_ch}.dead", 1)
    assert body == b"\x00body"
    same = ("message_id", "content_type", "correlation_id", "priority")
    assert [getattr(parked, name) for name in same] == [getattr(sent, name) for name in same]
    assert parked.delivery_mode == 2
    ours = {key: value for key, value in parked.headers.items() if key.startswith("mq-")}
    assert began - 1 < parked.timestamp < time.time() + 1  # it had no date
    assert ours == {
        "mq-attempt": 4,
        "mq-first-error": "ValueError: attempt 1 does not work",
        "mq-last-error": "ValueError: attempt 4 does not work",
        "mq-queue": mq_ch,
    }
    assert parked.headers.items() >= theirs.items()
    assert consumer.metric('consumer_settled_total{outcome="retry"}') == 3
    take(channel, mq_ch, 0)


def test_a_rejected_message_is_parked_at_once_with_the_reason(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """The handler's verdict costs no retries, and the message beside it is handled."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:reject_bad", RECORD=record).wait_ready()
    for text in ("bad", "good"):
        channel.basic_publish("", mq_ch, text, mandatory=True)
    until(lambda: consumer.metric("consumer_unsettled") == 0 and len(bodies(record)) == 2, "both are settled")
    [(parked, body)] = take(channel, f"{mq_ch}.dead", 1)
    assert (body, parked.headers["mq-last-error"], parked.headers["mq-attempt"]) == (b"bad", "Reject: not for us", 1)


def test_a_body_that_does_not_fit_is_parked_at_once_with_the_wrong_fields_and_not_their_values(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:parse", RECORD=record).wait_ready()
    for body in (b'[1, "s3cr3t"]', b"{", b"[1, 2]"):
        channel.basic_publish("", mq_ch, body, mandatory=True)
    until(lambda: consumer.metric("consumer_unsettled") == 0 and bodies(record), "all are settled")
    assert bodies(record) == ["[1, 2]"]
    parked = take(channel, f"{mq_ch}.dead", 2)
    reasons = [properties.headers["mq-last-error"] for properties, _ in parked]
    assert reasons[0].startswith("BodyError: 1: Input should be a valid integer")
    assert reasons[1].startswith("BodyError: the body: Invalid JSON")
    assert {properties.headers["mq-attempt"] for properties, _ in parked} == {1}
    assert "s3cr3t" not in consumer.stderr.read_text() + str(reasons)


def test_a_failing_message_with_an_expiration_or_a_foreign_user_id_is_parked_alone(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """Both properties would lose or refuse the copy; they travel on as headers, and the neighbour is handled."""
    record = tmp_path / "record"
    consumer = start(
        "consumer", CONSUMER_HANDLER=f"{PLUGINS}:fail", CONSUMER_RETRY_DELAYS="50ms", RECORD=record
    ).wait_ready()
    with (
        add_user(broker, mq_ch) as address,
        pika.BlockingConnection(pika.URLParameters(f"amqp://{mq_ch}:pass@{address}")) as other,
    ):
        properties = BasicProperties(expiration="60000", user_id=mq_ch)
        confirming = other.channel()
        confirming.confirm_delivery()
        confirming.basic_publish("", mq_ch, b"theirs", properties, mandatory=True)
    channel.basic_publish("", mq_ch, b"neighbour", mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 2, "both are parked")
    assert sorted(bodies(record)) == ["neighbour", "neighbour", "theirs", "theirs"]
    parked = {body: properties for properties, body in take(channel, f"{mq_ch}.dead", 2)}
    theirs = parked[b"theirs"]
    assert (theirs.expiration, theirs.user_id) == (None, None)
    assert (theirs.headers["mq-expiration"], theirs.headers["mq-user-id"]) == ("60000", mq_ch)
    assert consumer.metric('mq_reconnects_total{connection="consumer_retry"}') == 0


def test_a_message_that_kills_its_process_is_parked_alone_by_the_broker(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """After a bounded number of deaths it is out of the way; the messages prefetched with it are handled."""
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:kill", "CONSUMER_WORKERS": 4, "RECORD": record, "HTTP_PORT": 0}
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    with policy(broker, mq_ch, {"delivery-limit": LIMIT}):
        for text in ("kill", "one", "two", "three"):
            channel.basic_publish("", mq_ch, text, BasicProperties(message_id=text), mandatory=True)
        deaths = 0
        while (code := start("consumer", CONSUMER_IDLE_EXIT="1s", **settings).wait()) == 9:
            deaths += 1
            assert deaths <= 2 * LIMIT
    assert code == 0
    [(_, body)] = take(channel, f"{mq_ch}.dead", 1)
    assert body == b"kill"
    assert deaths == bodies(record).count("kill") == LIMIT + 1
    assert set(bodies(record)) == {"kill", "one", "two", "three"}


def test_kills_wear_no_more_messages_than_handlers_begin_with(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """A low limit parks what kills, and at most as many as there are handlers; no more is sent ahead after a loss."""
    record, workers, many = tmp_path / "record", 4, 400
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:kill", "CONSUMER_WORKERS": workers, "RECORD": record, "HTTP_PORT": 0}
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    with policy(broker, mq_ch, {"delivery-limit": 2}):
        for number in range(many):
            text = "kill" if number == many // 2 else str(number)
            channel.basic_publish("", mq_ch, text, BasicProperties(message_id=text), mandatory=True)
        for _ in range(5):
            code = start("consumer", CONSUMER_IDLE_EXIT="1s", **settings).wait()
    assert code == 0
    parked = {body.decode() for _, body in drain(channel, f"{mq_ch}.dead")}
    begun = set(bodies(record))
    assert "kill" in parked
    assert len(parked) <= workers
    assert begun | parked == {"kill", *map(str, range(many))} - {str(many // 2)}


def test_a_message_that_hangs_its_handler_is_parked_alone_by_the_broker(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """Each time the process is not live any more, and is ended as Kubernetes does it; the neighbours are handled."""
    record = tmp_path / "record"
    hanging = {"CONSUMER_HANDLER": f"{PLUGINS}:hang", "CONSUMER_HANDLER_TIMEOUT": "300ms", "SHUTDOWN_GRACE": "200ms"}
    settings = {**hanging, "CONSUMER_IDLE_EXIT": "1s", "RECORD": record}
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    with policy(broker, mq_ch, {"delivery-limit": LIMIT}):
        for text in ("hang", "one", "two", "three"):
            channel.basic_publish("", mq_ch, text, BasicProperties(message_id=text), mandatory=True)
        restarts = 0
        while hung(consumer := start("consumer", **settings)):
            consumer.terminate()
            assert consumer.wait() == 1
            assert consumer.event("stopped")["left"] >= 1
            restarts += 1
            assert restarts <= 2 * LIMIT
    assert consumer.code() == 0
    [(_, body)] = take(channel, f"{mq_ch}.dead", 1)
    assert body == b"hang"
    assert restarts == bodies(record).count("hang") == LIMIT + 1
    assert set(bodies(record)) == {"hang", "one", "two", "three"}


def hung(consumer: Process) -> bool:
    """Whether its probe of liveness fails; not, when it ends by itself."""

    def dead() -> bool:
        try:
            return not consumer.live()
        except OSError:  # not there yet, or no more
            return False

    until(lambda: consumer.code() is not None or dead(), "it hangs, or ends")
    return consumer.code() is None


def test_failures_that_cannot_be_parked_are_no_more_after_losses(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """The dead-letter queue is full, and the broker delivers them anew: one copy of each waits, and goes at last."""
    record, dead = tmp_path / "record", f"{mq_ch}.dead"
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "CONSUMER_RETRY_DELAYS": "off", "RECORD": record, **QUICK}
    settings |= {"CONSUMER_WORKERS": SOME}  # of what comes again, each has one
    for _ in range(2):
        channel.basic_publish("", dead, b"full", mandatory=True)
    with policy(broker, dead, {"max-length": 1, "overflow": "reject-publish"}):
        consumer = start("consumer", **settings).wait_ready()
        for number in range(SOME):
            channel.basic_publish("", mq_ch, b"%d" % number, mandatory=True)
        for losses in range(SUSPECT):  # after so many they would come one by one
            until(lambda: len(bodies(record)) >= SOME + losses * SOME / 2, "they fail")  # noqa: B023
            until(lambda: consumer.metric("consumer_unsettled") >= SOME / 2, "they cannot be parked")
            if losses < SUSPECT - 1:
                close_connection(broker, "consumer")
                reconnects = 'mq_reconnects_total{connection="consumer"}'
                until(lambda: consumer.metric(reconnects) == losses + 1, "it is lost")  # noqa: B023
        assert consumer.metric("consumer_retry_unconfirmed") <= SOME
    close_connection(broker, "consumer_retry")  # to a channel that was told of it, 3.10 says full for ever
    until(lambda: consumer.reasons() == [] and consumer.metric("consumer_unsettled") == 0, "all are settled")
    parked = {body for _, _, body in iter(lambda: channel.basic_get(dead, auto_ack=True), (None, None, None))}
    assert parked == {b"full", *(b"%d" % number for number in range(SOME))}


def test_a_full_dead_letter_queue_drops_no_parked_message(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """A policy that means another queue may match it: what does not fit waits, and goes once there is room."""
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0
    dead, settings = f"{mq_ch}.dead", {"CONSUMER_HANDLER": f"{PLUGINS}:reject_bad", "RECORD": os.devnull, **QUICK}
    with policy(broker, dead, {"max-length": 5}):
        until(lambda: refuses(channel, dead), "the policy holds")
        for number in range(SOME):
            channel.basic_publish("", mq_ch, b"bad", BasicProperties(message_id=f"{number}"), mandatory=True)
        consumer = start("consumer", **settings)
        until(lambda: any(f"is full: {dead}" in reason for reason in consumer.reasons() or []), "it says what is full")
        parked = consumer.metric('consumer_settled_total{outcome="parked"}')
        assert parked < SOME
    close_connection(broker, "consumer_retry")  # to a channel that was told of it, 3.10 says full for ever
    until(lambda: consumer.metric("consumer_unsettled") == 0, "all are settled")
    came = [properties.message_id for properties, body in drain(channel, dead) if body == b"bad"]
    assert sorted(came) == sorted(str(number) for number in range(SOME))


NONE = (None, None, None)  # what an empty queue gives
CYCLE = "application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, {})."


@pytest.mark.parametrize("delays", ["1s,1500ms", "1s"])
def test_a_limit_on_all_queues_makes_no_standstill(  # noqa: PLR0917
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path, delays: str
) -> None:
    """The retry queue waits for room in the main queue, and all goes on by itself when the handler works again."""
    record, prefetch, limit = tmp_path / "record", 20, 10
    broken = Path(f"{record}.broken")
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail_while_broken", "CONSUMER_PREFETCH": prefetch, "RECORD": record}
    settings |= {"CONSUMER_RETRY_DELAYS": delays, "CONSUMER_WORKERS": 4, "CONSUMER_BREAKER": "off"}  # which would wait
    broken.touch()
    broker.rabbitmqctl("eval", CYCLE.format(1000))  # how long the retry queue waits until it asks the full one again
    assert start("consumer", CONSUMER_IDLE_EXIT="1ms", CONSUMER_RETRY_DELAYS=delays).wait() == 0
    with policy(broker, f"{mq_ch}.*", {"max-length": limit}):
        consumer = start("consumer", **settings).wait_ready()
        sent = refused = 0
        while refused < 10:  # in a row: it stands
            try:
                channel.basic_publish("", mq_ch, b"%d" % sent, mandatory=True)
                sent, refused = sent + 1, 0
            except NackError:
                refused += 1
                time.sleep(0.3)
        assert sent > limit
        until(lambda: f"full: {mq_ch}." in str(consumer.reasons()), "it says what waits for what")
        for queue in ("consumer", "consumer_retry") * (broker.name == "debian"):
            close_connection(broker, queue)  # to a channel that was told of it, 3.10 says full for ever
        broken.unlink()
        until(lambda: consumer.reasons() == [] and consumer.metric("consumer_unsettled") == 0, "it goes on")
        consumer.terminate()
        consumer.wait()
        assert start("consumer", CONSUMER_IDLE_EXIT="4s", **settings).wait() == 0
    broker.rabbitmqctl("eval", CYCLE.format(180_000))
    parked = {body.decode() for _, body in drain(channel, f"{mq_ch}.dead")}
    assert set(bodies(record)) | parked == {str(number) for number in range(sent)}


def refuses(channel: BlockingChannel, queue: str) -> bool:
    """Whether it is full."""
    try:
        channel.basic_publish("", queue, b"full", mandatory=True)
    except NackError:
        return True
    return False


def drain(channel: BlockingChannel, queue: str) -> list[tuple[Any, bytes]]:
    """Properties and bodies of all that the queue holds."""
    return [(properties, body or b"") for _, properties, body in iter(lambda: channel.basic_get(queue, True), NONE)]


def close_connection(broker: Broker, name: str) -> None:
    """The one that has this name."""
    connections = broker.rabbitmqctl("list_connections", "pid", "client_properties").splitlines()
    [pid] = [line.split()[0] for line in connections if f'"{name}"' in line]
    broker.rabbitmqctl("close_connection", pid, "closed by the test")


def test_messages_whose_headers_fill_a_frame_wait_are_parked_and_replayed(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """As all others: a delay before each attempt, the reason as far as it fits, and the way back."""
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "CONSUMER_RETRY_DELAYS": "1s,2s", "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    assert start("producer", "--source", f"{PLUGINS}:near_frame").wait() == 0
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 3, "all are parked")
    assert sorted(bodies(record)) == sorted(3 * ["131000", "130950", "130700"])
    assert consumer.metric('consumer_settled_total{outcome="retry"}') == 6
    assert consumer.metric("consumer_retry_refused_total") == 0
    listed = {row["id"]: row for row in rows(run(start, "list", "--json"))}
    assert [listed[name]["error"][:15] for name in ("h130700", "h130950")] == ["ValueError: att"] * 2
    assert listed["h131000"]["error"].startswith("no room for the reason in its headers")
    assert "no room for the reason" in run(start, "show", "h131000").stdout.read_text()
    assert listed["h130700"]["attempt"] == 3
    assert consumer.code() is None
    run(start, "replay")
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 6, "they came back, and failed again")
    assert len(bodies(record)) == 18
    consumer.terminate()
    consumer.wait()
    for properties, body in take(channel, f"{mq_ch}.dead", 3):
        assert properties.headers["h"] == "x" * int(body)
