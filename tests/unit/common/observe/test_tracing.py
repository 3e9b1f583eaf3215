"""What a span says of a message, and whether spans are made at all.

The latter in a process of its own each, because OpenTelemetry is set up once in each.
"""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from pika import BasicProperties

from common.message import Message
from common.observe.tracing import fail, set_up, start
from tests.processes import ROOT

Ended = Callable[[], tuple[ReadableSpan, ...]]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_span_has_the_name_kind_and_attributes_of_the_conventions(ended: Ended) -> None:
    """Those of a message that says little are left out."""
    assert set_up("http://127.0.0.1:1", "ignored"), "the fixture set it up"
    full = BasicProperties(message_id="m", correlation_id="c")
    start("send", SpanKind.PRODUCER, "jobs", Message(b"four", properties=full)).end()
    start("process", SpanKind.CONSUMER, "jobs", Message(b"")).end()
    first, second = ended()
    same = {"messaging.system": "rabbitmq", "messaging.destination.name": "jobs"}
    assert (first.name, first.kind) == ("send jobs", SpanKind.PRODUCER)
    assert first.attributes == same | {
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": "m",
        "messaging.message.conversation_id": "c",
        "messaging.message.body.size": 4,
    }
    assert (second.name, second.kind) == ("process jobs", SpanKind.CONSUMER)
    assert second.attributes == same | {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.body.size": 0,
    }


def test_the_context_that_came_is_the_parent_and_a_link(ended: Ended) -> None:
    """With its state."""
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
    start("process", SpanKind.CONSUMER, "jobs", Message(b"", headers=headers)).end()
    (span,) = ended()
    assert span.parent
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert span.parent.trace_state == {"vendor": "1"}
    assert [link.context.span_id for link in span.links] == [int(SPAN, 16)]


@pytest.mark.parametrize("parent", [7, "", "00-made up", f"00-{TRACE}-{SPAN}-01-" + "x" * 10_000])
def test_a_malformed_context_begins_a_trace_of_its_own(ended: Ended, parent: object) -> None:
    """And no exception, and no warning of the library's."""
    start("process", SpanKind.CONSUMER, "jobs", Message(b"", headers={"traceparent": parent, "tracestate": 7})).end()
    (span,) = ended()
    assert (span.parent, span.links) == (None, ())


def test_a_failed_span_says_why(ended: Ended) -> None:
    """As a kind of error, not as its text, which may be anything."""
    span = start("send", SpanKind.PRODUCER, "jobs", Message(b""))
    fail(span, "refused")
    span.end()
    (found,) = ended()
    assert found.status.status_code is StatusCode.ERROR
    assert (found.attributes or {})["error.type"] == "refused"


MAIN = """
import os, sys
{before}
os.environ |= {{"MQ_URL": "amqp://h", "MQ_CH": "jobs", **{variables!r}}}
import common.process.run, {service}.service as wired
for name in ("ProducerService", "ConsumerService"):
    setattr(wired, name, lambda *given, **_: given[-1])  # the producer's followers, the consumer's handler
def look(process, service, settings):
    print(sorted(name for name in ("opentelemetry.trace", "opentelemetry.sdk", "waitress") if name in sys.modules))
    {look}
    return 0
from {service}.__main__ import main
sys.modules["common.process.run"].serve = look
main([])
"""


def run(service: str, before: str = "", look: str = "", **variables: str) -> tuple[list[str], str]:
    """What a service prints that is wired and then looked at, and standard error."""
    code = MAIN.format(service=service, before=before, look=look, variables=variables)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1/", "OTEL_RESOURCE_ATTRIBUTES": "service.version=7"}
PROVIDER = "from opentelemetry import trace; attributes = trace.get_tracer_provider().resource.attributes; "
HAS_SPANS = "print('trac' in repr(service))"  # producer.tracing.Spans, consumer.tracing.traced
both = pytest.mark.parametrize("service", ["producer", "consumer"])


@both
def test_nothing_is_loaded_where_nobody_wants_it(service: str) -> None:
    """Neither for spans nor for the HTTP source."""
    assert run(service) == (["[]"], "")


@both
@pytest.mark.parametrize(
    "absent",
    [
        ["opentelemetry"],
        ["opentelemetry.sdk", "opentelemetry.sdk.resources"],
        ["common.observe.tracing"],
        ["producer.tracing", "consumer.tracing"],
    ],
    ids=["no API", "no SDK", "common module deleted", "service's module deleted"],
)
def test_an_endpoint_without_the_packages_or_our_modules_is_one_warning(service: str, absent: list[str]) -> None:
    """Messages are more than traces."""
    said, log = run(service, f"sys.modules.update(dict.fromkeys({absent}))", HAS_SPANS, **ENDPOINT)
    assert said[1] == "False"
    assert [line["event"] for line in map(json.loads, log.splitlines())] == [
        "no spans: the extra `otel` is not installed"
    ]


@both
def test_an_endpoint_is_enough(service: str) -> None:
    """The service's name is the default; the SDK's own variables win."""
    said, log = run(
        service, look=PROVIDER + "print(attributes['service.name'], attributes['service.version'])", **ENDPOINT
    )
    assert (said[1], log) == (f"{service} 7", "")


MINE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
mine = TracerProvider()
{set}
"""


@both
@pytest.mark.parametrize("is_set", [True, False])
def test_what_was_set_up_before_is_left_as_it_is_and_used(service: str, is_set: bool) -> None:
    """As `opentelemetry-instrument` does it, or a module of the user's; the API alone takes no spans."""
    before = MINE.format(set="trace.set_tracer_provider(mine)" if is_set else "")
    look = f"print(trace.get_tracer_provider() is mine); {HAS_SPANS}"
    assert run(service, before, look)[0][1:] == [str(is_set), str(is_set)]
    if is_set:
        assert run(service, before, look, **ENDPOINT)[0][1:] == ["True", "True"]
