"""The consumer's spans: `process QUEUE`, the current one while the handler runs. Loads OpenTelemetry."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import SpanKind, use_span

from common.message import Message
from common.observe.tracing import fail, start
from consumer.handler import Handle, SetUp, is_async
from consumer.outcome import check_returned


def traced(handle: Handle | SetUp, queue: str) -> Handle | SetUp:
    """`handle` in a span of its own for each attempt. All attempts are in the trace that the message came with."""
    if isinstance(handle, SetUp):
        return handle._replace(wrap=lambda each: _traced(each, queue))
    return _traced(handle, queue)


def _traced(handle: Handle, queue: str) -> Handle:
    def handle_in_span(message: Message) -> None:
        with _span(message, queue):
            check_returned(handle(message))

    async def await_in_span(message: Message) -> None:
        with _span(message, queue):
            check_returned(await handle(message))

    return await_in_span if is_async(handle) else handle_in_span


@contextmanager
def _span(message: Message, queue: str) -> Iterator[None]:
    span = start("process", SpanKind.CONSUMER, queue, message)
    span.set_attribute("mq.attempt", message.attempt)
    with use_span(span, end_on_exit=True, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:
            fail(span, type(error).__qualname__)
            raise
