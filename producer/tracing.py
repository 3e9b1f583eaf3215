"""The producer's spans: `send QUEUE`, from when the source gave a message until the broker confirmed it.

Loads OpenTelemetry.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import copy

from opentelemetry.trace import Span, SpanKind, set_span_in_context

from common.message import Message
from common.observe.trace_context import trace_context
from common.observe.tracing import PROPAGATOR, fail, start
from producer.follower import Follower, Item


class Spans(Follower):
    """Stands between a source and its reader."""

    def __init__(self, source: Callable[[], Iterable[Item]], queue: str, name: str) -> None:
        """`name` and an item's position make the id of its message."""
        self._source, self._queue, self._name = source, queue, name
        self._open: dict[int, Span] = {}  # put in by the source thread, taken out by the I/O thread

    def items(self) -> Iterator[Item]:
        for value, position in self._source():
            yield Item(value if isinstance(value, Exception) else self._begin(value, position), position)

    def _begin(self, value: object, position: int) -> object:
        try:
            message = Message.of(value, f"{self._name}-{position}")
        except Exception:  # noqa: BLE001 - the reader meets it again, and says what is done about it
            return value
        # A context that the source gave is the message's own and stays (the conventions call the span CLIENT then).
        own = not trace_context(message.headers)
        span = start("send", SpanKind.PRODUCER if own else SpanKind.CLIENT, self._queue, message)
        self._open[position] = span
        properties, carrier = copy(message.properties), dict[str, str]()
        if own:
            PROPAGATOR.inject(carrier, set_span_in_context(span))
        properties.headers = {**message.headers, **carrier}
        # The reader dates it, behind PRODUCER_RATE, unless the source did.
        properties.timestamp = value.properties.timestamp if isinstance(value, Message) else None
        return Message(message.body, properties=properties)  # the reader encodes them anew

    def confirmed(self, position: int) -> None:
        self._open.pop(position).end()

    def refused(self, position: int) -> None:
        self._fail(position, "refused")

    def close(self) -> None:
        for position in list(self._open):
            self._fail(position, "unconfirmed")

    def _fail(self, position: int, error: str) -> None:
        if span := self._open.pop(position, None):
            fail(span, error)
            span.end()
