"""The consumer's spans: `process QUEUE`, the current one while the handler runs. Loads OpenTelemetry."""

from collections.abc import Callable

from opentelemetry.trace import SpanKind, use_span

from common.message import Message
from common.observe.tracing import fail, start
from consumer.outcome import check_returned


def traced(handle: Callable[[Message], None], queue: str) -> Callable[[Message], None]:
    """`handle` in a span of its own for each attempt. All attempts are in the trace that the message came with."""

    def handle_in_span(message: Message) -> None:
        span = start("process", SpanKind.CONSUMER, queue, message)
        span.set_attribute("mq.attempt", message.attempt)
        with use_span(span, end_on_exit=True, set_status_on_exception=False):
            try:
                check_returned(handle(message))  # type: ignore[func-returns-value]
            except BaseException as error:
                fail(span, type(error).__qualname__)
                raise

    return handle_in_span
