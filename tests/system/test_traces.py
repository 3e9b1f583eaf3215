"""A trace from the producer's source to the handler, through retries, and what logs and a collector see of it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from tests.processes import until
from tests.system.collector import Collector, attributes
from tests.system.kit import PLUGINS, Mute, Start, bodies, take

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
FORGED = {"traceparent": f'00-{TRACE}-{SPAN}-01\n{{"event": "forged"}}', "tracestate": "x" * 10_000}


@pytest.mark.every_broker
def test_a_context_reaches_the_handler_at_each_attempt_and_the_log_lines_of_its_message(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Without OpenTelemetry. A malformed one travels on as any header does, and stands in no line."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:tell", CONSUMER_RETRY_DELAYS="50ms", RECORD=record)
    consumer.wait_ready()
    for body, context in (("good", CONTEXT), ("bad", FORGED)):
        channel.basic_publish("", mq_ch, body, BasicProperties(headers=context, message_id=body), mandatory=True)
    until(lambda: len(bodies(record)) == 4, "both are handled at the second attempt")
    consumer.terminate()
    assert consumer.wait() == 0
    headers = [json.loads(line) for line in Path(f"{record}.headers").read_text().splitlines()]
    seen = [(body, {key: each[key] for key in CONTEXT}) for body, each in zip(bodies(record), headers, strict=True)]
    assert sorted(seen, key=str) == sorted([("good", CONTEXT), ("bad", FORGED)] * 2, key=str)
    assert "forged" not in consumer.stderr.read_text()
    lines = [line for line in consumer.log() if line["event"] in {"failed", "said by the handler"}]
    named = sorted((line["event"], line["message_id"], line.get("trace_id", "")) for line in lines)
    assert named == [
        ("failed", "bad", ""),
        ("failed", "good", TRACE),
        *[("said by the handler", "bad", "")] * 2,
        *[("said by the handler", "good", TRACE)] * 2,
    ]


def test_a_parked_message_keeps_its_context(start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path) -> None:
    """So who looks into the dead-letter queue finds the trace, and a replay goes on with it."""
    consumer = start(
        "consumer", CONSUMER_HANDLER=f"{PLUGINS}:fail", CONSUMER_RETRY_DELAYS="50ms", RECORD=tmp_path / "r"
    )
    consumer.wait_ready()
    channel.basic_publish("", mq_ch, b"x", BasicProperties(headers=CONTEXT), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 1, "it is parked")
    [(parked, _)] = take(channel, f"{mq_ch}.dead", 1)
    assert {key: parked.headers[key] for key in CONTEXT} == CONTEXT


def test_a_refused_message_is_found_by_its_trace(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """The producer's own line says it as well."""
    producer = start("producer", "--source", f"{PLUGINS}:too_many_headers")
    assert producer.wait() == 1
    line = producer.event("refused")
    assert (line["message_id"], line["trace_id"]) == ("m", TRACE)


def test_a_collector_sees_each_message_from_its_source_to_its_last_attempt_in_one_trace(
    start: Start, mq_ch: str, tmp_path: Path
) -> None:
    """With the names and attributes of the conventions, and exactly one span for each step."""
    with Collector() as collector:
        spans = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        assert start("producer", "--count", "2", "--rate", "100", **spans).wait() == 0
        consumer = start(
            "consumer",
            CONSUMER_HANDLER=f"{PLUGINS}:tell",
            CONSUMER_RETRY_DELAYS="50ms",
            CONSUMER_IDLE_EXIT="1s",
            RECORD=tmp_path / "record",
            OTEL_RESOURCE_ATTRIBUTES="service.namespace=test",
            **spans,
        )
        assert consumer.wait() == 0, consumer.stderr.read_text()
        came = list(collector.spans)
    sent = [span for service, span in came if service == "producer"]
    done = sorted((span for service, span in came if service == "consumer"), key=_attempt)
    assert {(span.name, span.kind) for span in sent} == {(f"send {mq_ch}", sent[0].SPAN_KIND_PRODUCER)}
    assert {(span.name, span.kind) for span in done} == {(f"process {mq_ch}", sent[0].SPAN_KIND_CONSUMER)}
    assert (len(sent), [_attempt(span) for span in done]) == (2, [1, 1, 2, 2])
    creators = {span.trace_id: span for span in sent}
    assert len(creators) == 2
    for span in done:
        creator = creators[span.trace_id]
        assert span.parent_span_id == creator.span_id == span.links[0].span_id
        assert span.start_time_unix_nano > creator.start_time_unix_nano
        assert attributes(span)["messaging.message.id"] == attributes(creator)["messaging.message.id"]
        assert attributes(span).get("error.type") == ("ValueError" if _attempt(span) == 1 else None)
    traces = {f"{line['trace_id']}" for line in consumer.log() if line["event"] == "said by the handler"}
    assert traces == {span.trace_id.hex() for span in sent}


def _attempt(span: Any) -> int:
    return int(attributes(span)["mq.attempt"])


def test_a_collector_that_never_answers_holds_up_nothing(start: Start) -> None:
    """Messages flow, and a stop takes a few seconds more at most."""
    with Mute() as mute:
        began = time.monotonic()
        producer = start(
            "producer",
            *("--source", f"{PLUGINS}:numbers", "--count", "500"),
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{mute.address}",
        )
        assert producer.wait() == 0
        assert time.monotonic() - began < 8
    assert producer.event("stopped")["confirmed"] == 500
