"""The producer's spans: `send QUEUE`, from when the source gave a message until the broker confirmed it.

Loads OpenTelemetry.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import copy

from opentelemetry.trace import Span, SpanKind, set_span_in_context

from common.message import Message
from common.observe.trace_context import trace_context
from common.observe.tracing import PROPAGATOR, fail, start
from producer.source import Follower, Item


class Spans(Follower):
    """Stands between a source and its feed."""

    def __init__(self, source: Callable[[], Iterable[Item]], queue: str, name: str) -> None:
        """`name` and a message's position, or its number where there is none, make its id."""
        self._source, self._queue, self._name = source, queue, name
        self._open: dict[int, Span] = {}  # put in by the source thread, taken out by the I/O thread

    def items(self) -> Iterator[Item]:
        """What the source gives, as messages that carry a context, each with a position."""
        for number, (value, given) in enumerate(self._source(), 1):
            position = number if given is None else given
            yield Item(value if isinstance(value, Exception) else self._begin(value, position), position)

    def _begin(self, value: object, position: int) -> Message:
        message = Message.of(value, f"{self._name}-{position}")
        # A context that the source gave is the message's own and stays (the conventions call the span CLIENT then).
        own = not trace_context(message.headers)
        span = start("send", SpanKind.PRODUCER if own else SpanKind.CLIENT, self._queue, message)
        self._open[position] = span
        properties, carrier = copy(message.properties), dict[str, str]()
        if own:
            PROPAGATOR.inject(carrier, set_span_in_context(span))
        properties.headers = {**message.headers, **carrier}
        # The feed dates it, behind PRODUCER_RATE, unless the source did.
        properties.timestamp = value.properties.timestamp if isinstance(value, Message) else None
        return Message(message.body, properties=properties)  # the feed encodes them anew

    def confirmed(self, position: int) -> None:
        """The broker has it."""
        self._open.pop(position).end()

    def refused(self, position: int) -> None:
        """The broker cannot take it, or there was none."""
        if span := self._open.pop(position, None):
            fail(span, "refused")
            span.end()

    def close(self) -> None:
        """What is not confirmed now never will be."""
        for position in list(self._open):
            span = self._open.pop(position)
            fail(span, "unconfirmed")
            span.end()
