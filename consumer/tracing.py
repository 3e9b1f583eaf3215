"""The consumer's spans: `process QUEUE`, the current one while the handler runs. Loads OpenTelemetry."""

from collections.abc import Callable
from dataclasses import replace

from opentelemetry.trace import SpanKind, set_span_in_context, use_span

from common.message import Message
from common.observe.tracing import PROPAGATOR, fail, start
from consumer.outcome import check_returned


def traced(handle: Callable[[Message], object], queue: str) -> Callable[[Message], object]:
    """`handle` in a span of its own for each attempt. All attempts are in the trace that the message came with.

    What is forwarded has this span as its parent, unless it was given another.
    """

    def handle_in_span(message: Message) -> object:
        span = start("process", SpanKind.CONSUMER, queue, message)
        span.set_attribute("mq.attempt", message.attempt)
        with use_span(span, end_on_exit=True, set_status_on_exception=False):
            try:
                forwards = check_returned(handle(message))
                PROPAGATOR.inject(carrier := dict[str, str](), set_span_in_context(span))
                return [replace(each, headers={**carrier, **each.headers}) for each in forwards] or None
            except BaseException as error:
                fail(span, type(error).__qualname__)
                raise

    return handle_in_span
