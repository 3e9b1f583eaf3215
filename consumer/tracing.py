"""The consumer's spans: `process QUEUE`, the current one while the handler runs. Loads OpenTelemetry."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry.trace import SpanKind, set_span_in_context, use_span

from common.message import Message
from common.observe.tracing import PROPAGATOR, fail, start
from consumer.handler import Handle, SetUp, is_async
from consumer.outcome import check_returned


def traced(handle: Handle | SetUp, queue: str) -> Handle | SetUp:
    """`handle` in a span of its own for each attempt. All attempts are in the trace that the message came with.

    What is forwarded has this span as its parent, unless it was given another.
    """
    if isinstance(handle, SetUp):
        return handle._replace(wrap=lambda each: _traced(each, queue))
    return _traced(handle, queue)


def _traced(handle: Handle, queue: str) -> Handle:
    def handle_in_span(message: Message) -> object:
        with _span(message, queue) as carried:
            return carried(handle(message))

    async def await_in_span(message: Message) -> object:
        with _span(message, queue) as carried:
            return carried(await handle(message))

    return await_in_span if is_async(handle) else handle_in_span


@contextmanager
def _span(message: Message, queue: str) -> Iterator[Callable[[object], object]]:
    """Gives what adds the span's context to the forwards among what a handler returned."""
    span = start("process", SpanKind.CONSUMER, queue, message)
    span.set_attribute("mq.attempt", message.attempt)

    def carried(returned: object) -> object:
        forwards = check_returned(returned)
        PROPAGATOR.inject(carrier := dict[str, str](), set_span_in_context(span))
        return [replace(each, headers={**carrier, **each.headers}) for each in forwards] or None

    with use_span(span, end_on_exit=True, set_status_on_exception=False):
        try:
            yield carried
        except BaseException as error:
            fail(span, type(error).__qualname__)
            raise
