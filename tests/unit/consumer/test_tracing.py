"""The span around a handler."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from common.message import ATTEMPT, Message
from consumer.forward import Forward
from consumer.outcome import Reject
from consumer.tracing import traced

Ended = Callable[[], tuple[ReadableSpan, ...]]


def test_the_span_is_current_while_the_handler_runs(ended: Ended) -> None:
    """So what the handler makes is below it; afterwards it is not."""
    inside = []

    def handle(message: Message) -> None:
        inside.append((message.body, trace.get_current_span().get_span_context().span_id))
        trace.get_tracer("handler").start_span("below").end()

    traced(handle, "jobs")(Message(b"x", headers={ATTEMPT: 3}))
    below, span = ended()
    assert span.context
    assert inside == [(b"x", span.context.span_id)]
    assert below.parent
    assert below.parent.span_id == span.context.span_id
    assert (span.name, span.kind, (span.attributes or {})["mq.attempt"]) == ("process jobs", SpanKind.CONSUMER, 3)
    assert span.status.status_code is StatusCode.UNSET
    assert trace.get_current_span().get_span_context().span_id == 0


@pytest.mark.parametrize("error", [ValueError("x"), Reject("no"), SystemExit(1)])
def test_what_a_handler_raises_ends_the_span_and_passes_through(ended: Ended, error: BaseException) -> None:
    """Each failed attempt is an error in its trace."""

    def handle(_: Message) -> None:
        raise error

    with pytest.raises(type(error)):
        traced(handle, "jobs")(Message(b""))
    (span,) = ended()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == type(error).__name__


def test_a_returned_future_is_an_error_in_its_trace_and_no_success(ended: Ended) -> None:
    def future(_: Message) -> Any:
        return Future()

    with pytest.raises(TypeError, match="a Future"):
        traced(future, "jobs")(Message(b""))
    (span,) = ended()
    assert span.status.status_code is StatusCode.ERROR


def test_what_is_forwarded_has_the_span_as_its_parent_unless_it_was_given_one(ended: Ended) -> None:
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    given = Forward(b"x", to="a"), Forward(b"x", to="b", headers={"traceparent": own, "tenant": "a"})
    first, second = traced(lambda _: given, "jobs")(Message(b""))  # type: ignore[misc]
    (span,) = ended()
    assert span.context
    assert f"{span.context.span_id:016x}" in first.headers["traceparent"]
    assert second.headers == {"traceparent": own, "tenant": "a"}
    assert traced(lambda _: None, "jobs")(Message(b"")) is None
