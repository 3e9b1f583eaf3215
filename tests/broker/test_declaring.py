"""The queues, as a broker has them after our services declared them."""

import re
from typing import Any

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.processes import until
from tests.system.kit import PLUGINS, QUICK, Start

SAFE = {
    "x-queue-type": "quorum",
    "x-dead-letter-exchange": "",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


def expected(mq_ch: str) -> dict[str, dict[str, Any]]:
    back = SAFE | {"x-dead-letter-routing-key": mq_ch}
    return {
        mq_ch: SAFE | {"x-dead-letter-routing-key": f"{mq_ch}.dead", "x-delivery-limit": 20},
        f"{mq_ch}.dead": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-overflow": "reject-publish",
        },
        f"{mq_ch}.retry.250ms": back | {"x-message-ttl": 250},
        f"{mq_ch}.retry.2m": back | {"x-message-ttl": 120_000},
    }


@pytest.mark.parametrize("order", [("producer", "consumer"), ("consumer", "producer")], ids=" then ".join)
def test_both_services_declare_the_same_durable_quorum_queues_in_either_order(
    order: tuple[str, str], start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """A declaration of the same queue is accepted only if all is equal, so the test's own proves the arguments."""
    for service in order:
        start(service, CONSUMER_RETRY_DELAYS="250ms,2m").wait_ready()
    for name, arguments in expected(mq_ch).items():
        channel.queue_declare(name, passive=True)
        channel.queue_declare(name, durable=True, arguments=arguments)


@pytest.mark.parametrize("service", ["producer", "consumer"])
def test_with_assert_a_service_waits_for_queues_that_others_make(
    service: str, start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """It declares nothing, says which queue is missing, and goes on by itself when it is there."""
    process = start(service, MQ_TOPOLOGY="assert", CONSUMER_RETRY_DELAYS="off", **QUICK)
    missing = until(process.reasons, "a reason")
    until(lambda: "NOT_FOUND" in str(process.reasons()) and f"{mq_ch}.dead" in str(process.reasons()), str(missing))
    assert process.live()
    for name in (f"{mq_ch}.dead", mq_ch):
        channel.queue_declare(name, durable=True, arguments=expected(mq_ch)[name])
    process.wait_ready()


@pytest.mark.parametrize("mode", ["assert", "none"])
def test_a_consumer_refuses_a_stream_and_takes_a_queue_of_any_other_kind(
    mode: str, start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """A stream hands out only what comes after the consumer, and keeps it: what came before would be skipped."""
    channel.queue_declare(f"{mq_ch}.dead", durable=True, arguments=expected(mq_ch)[f"{mq_ch}.dead"])
    channel.queue_declare(mq_ch, durable=True, arguments={"x-queue-type": "stream"})
    channel.basic_publish("", mq_ch, b"before")
    settings = {"MQ_TOPOLOGY": mode, "CONSUMER_RETRY_DELAYS": "off", **QUICK}
    consumer = start("consumer", **settings)
    until(lambda: "take a quorum queue" in str(consumer.reasons()), "it says what is wrong, and what to do")
    assert consumer.metric('consumer_settled_total{outcome="ack"}') == 0
    # A producer cannot see what it publishes to; whoever looks for it, by the right to consume, can.
    for who in ("consumer", "producer"):
        for program in ("common.doctor.preflight", "common.doctor"):
            looks = start(program, **settings, PREFLIGHT_FOR=who, PREFLIGHT_TIMEOUT="1s")
            assert looks.wait() == 17, looks.stdout.read_text()
    for kind in ("classic", "quorum"):
        channel.queue_delete(mq_ch)
        channel.queue_declare(mq_ch, durable=True, arguments={"x-queue-type": kind})
        consumer.wait_ready()


def test_with_none_the_producer_uses_any_queue_and_declares_nothing(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """A queue of another kind is as good, and until it is there every message is kept."""
    producer = start("producer", "--count", "3", "--source", f"{PLUGINS}:numbers", MQ_TOPOLOGY="none", **QUICK)
    until(lambda: "there is no queue" in str(producer.reasons()), "the producer says that its message came back")
    channel.queue_declare(mq_ch, durable=True)
    assert producer.wait() == 0
    assert channel.queue_declare(mq_ch, passive=True).method.message_count == 3


@pytest.mark.parametrize("kind", ["classic", "quorum"])
@pytest.mark.parametrize("service", ["producer", "consumer"])
def test_a_queue_with_other_arguments_is_explained_and_waited_for(
    service: str, kind: str, start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """By the broker's sentence, which names one argument, and who names all. It is ready once the queue is gone."""
    wanted = expected(mq_ch)[mq_ch]
    other = {"x-delivery-limit": 7, "x-dead-letter-routing-key": "elsewhere"}
    there = wanted | other if kind == "quorum" else {"x-queue-type": kind}
    channel.queue_declare(mq_ch, durable=True, arguments=there)
    differ = {name: (there.get(name), value) for name, value in wanted.items() if there.get(name) != value}
    process = start(service, **QUICK)
    sentences = [
        f"PRECONDITION_FAILED - inequivalent arg '{name}' for queue '{mq_ch}' in vhost '.*': received .*'{value}'.* "
        + ("but current is none" if found is None else f"but current is .*'{found}'.*")
        + "; run `doctor`"
        for name, (found, value) in differ.items()
    ]
    until(lambda: re.search("|".join(sentences), " ".join(process.reasons() or [])), "the broker_error is a reason")
    said = lambda: str(process.event("not connected").get("reason"))  # noqa: E731
    until(lambda: re.search("|".join(sentences), said()), "and in the log")
    assert process.live()
    channel.queue_delete(mq_ch)
    process.wait_ready()


def test_a_dead_letter_queue_of_an_earlier_version_is_used_with_a_warning(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """Its arguments cannot be changed, and an upgrade must not stop at it; the preflight says so too."""
    earlier = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
    channel.queue_declare(f"{mq_ch}.dead", durable=True, arguments=earlier)
    assert start("common.doctor.preflight").wait() == 0
    for service in ("consumer", "producer"):
        process = start(service).wait_ready()
        warning = process.event("a length limit would drop parked messages")
        assert warning["queue"] == f"{mq_ch}.dead"
        assert "set_policy" in warning["advice"]
        assert process.event("not connected") == {}
    # Somebody follows the other advice, and deletes it.
    channel.queue_delete(f"{mq_ch}.dead")
    start("consumer").wait_ready()
    process.wait_ready()


@pytest.mark.parametrize("there", [{"x-overflow": "drop-head"}, {"x-delivery-limit": 7}, {"x-max-length": 7}])
def test_a_dead_letter_queue_that_differs_otherwise_is_refused(
    there: dict[str, Any], start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    earlier = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
    channel.queue_declare(f"{mq_ch}.dead", durable=True, arguments=earlier | there)
    consumer = start("consumer", **QUICK)
    until(lambda: f"'{next(iter(there))}' for queue '{mq_ch}.dead'" in str(consumer.reasons()), "it says what differs")
    assert start("common.doctor.preflight", PREFLIGHT_TIMEOUT="1s").wait() == 17
