"""What a span says of a message."""

from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from pika import BasicProperties

from common.message import Message
from common.observe.spans import fail, is_set_up, start

Ended = Callable[[], tuple[ReadableSpan, ...]]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_span_has_the_name_kind_and_attributes_of_the_conventions(ended: Ended) -> None:
    """Those of a message that says little are left out."""
    assert is_set_up()
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
